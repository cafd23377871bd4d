/* Every function that JavaScript sees, by files of the same names. */
#ifndef TSBHYVE_FUNCTIONS_H
#define TSBHYVE_FUNCTIONS_H

#include <napi.h>

struct Function {
  const char* name;
  Napi::Value (*call)(const Napi::CallbackInfo&);
};

/* Lists end with a row whose name is null. */
extern const Function file_functions[];
extern const Function memory_functions[];
extern const Function event_functions[];
extern const Function socket_functions[];
extern const Function ring_functions[];
extern const Function freebsd_functions[];

#endif
