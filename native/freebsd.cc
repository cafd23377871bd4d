/* sysctl(3); and kqueue(2) and cap_enter(2), which are -ENOSYS on other kernels. */
#include "arguments.h"
#include "functions.h"

namespace {

constexpr size_t name_max = 255;

Napi::Value Sysctl(const Napi::CallbackInfo& info) {
  Arguments in(info, "sysctl");
  std::string name = in.Text(0, "name", name_max);
  Bytes old_bytes = in.View(1, "oldValue");
  Bytes new_bytes = in.View(2, "newValue");
  return in.Result(in.Failed() ? 0
                               : system_sysctl(name.c_str(),
                                               old_bytes.length == 0 ? nullptr : old_bytes.data,
                                               old_bytes.length,
                                               new_bytes.length == 0 ? nullptr : new_bytes.data,
                                               new_bytes.length));
}

Napi::Value Kqueue(const Napi::CallbackInfo& info) {
  return Arguments(info, "kqueue").Result(system_kqueue());
}

Napi::Value Kevent(const Napi::CallbackInfo& info) {
  Arguments in(info, "kevent");
  int kq = in.Descriptor(0);
  Bytes changes = in.View(1, "changes");
  Bytes events = in.View(2, "events");
  int timeout = in.I32(3, "timeoutMs", -1, std::numeric_limits<int32_t>::max());
  size_t each = system_kevent_bytes();
  return in.Result(in.Failed() ? 0
                               : system_kevent(kq, changes.data, changes.length / each,
                                               events.data, events.length / each, timeout));
}

Napi::Value CapEnter(const Napi::CallbackInfo& info) {
  return Arguments(info, "capEnter").Result(system_cap_enter());
}

}  // namespace

const Function freebsd_functions[] = {
    {"sysctl", Sysctl}, {"kqueue", Kqueue}, {"kevent", Kevent}, {"capEnter", CapEnter},
    {nullptr, nullptr},
};
