/* The addon's table of functions. It keeps no state but descriptors and the slots of kicks. */
#include "functions.h"

static void Add(Napi::Env env, Napi::Object exports, const Function* rows) {
  for (; rows->name != nullptr; rows += 1) {
    exports.Set(rows->name, Napi::Function::New(env, rows->call, rows->name));
  }
}

/* Counts changes of what JavaScript sees: src/host/native.ts refuses a build of another number. */
constexpr int interface_version = 2;

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("interfaceVersion", Napi::Number::New(env, interface_version));
  for (const Function* rows : {file_functions, memory_functions, event_functions,
                               socket_functions, ring_functions, freebsd_functions}) {
    Add(env, exports, rows);
  }
  return exports;
}

NODE_API_MODULE(tsbhyve, Init)
