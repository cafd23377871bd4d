/* eventfd, poll, and kicks. */
#include "arguments.h"
#include "functions.h"

namespace {

Napi::Value Eventfd(const Napi::CallbackInfo& info) {
  Arguments in(info, "eventfd");
  uint32_t initial = in.U32(0, "initial");
  bool blocking = in.Flag(1, "blocking");
  return in.Result(in.Failed() ? 0 : system_eventfd(initial, blocking));
}

Napi::Value Poll(const Napi::CallbackInfo& info) {
  Arguments in(info, "poll");
  size_t cells = 0;
  auto* table = in.Elements<int32_t>(0, "rows", napi_int32_array, &cells);
  int timeout = in.I32(1, "timeoutMs", -1, std::numeric_limits<int32_t>::max());
  size_t count = cells / 3;
  if (!in.Failed() && (cells % 3 != 0 || count > poll_rows_max)) {
    in.WrongRange("rows", "up to 256 rows of descriptor, events, result");
  }
  for (size_t i = 0; i < count && !in.Failed(); i += 1) {
    if (!descriptor_owned(table[i * 3])) {
      in.WrongRange("rows", "of descriptors that this addon opened");
    }
  }
  return in.Result(
      in.Failed() ? 0 : system_poll(reinterpret_cast<poll_row*>(table), count, timeout));
}

void LeaveSlot(void* slot) {
  system_kick_leave(static_cast<int>(reinterpret_cast<intptr_t>(slot)));
}

Napi::Value KickSlot(const Napi::CallbackInfo& info) {
  Arguments in(info, "kickSlot");
  static thread_local int known = -1;
  int slot = system_kick_slot();
  if (slot >= 0 && slot != known) {
    known = slot;
    napi_add_env_cleanup_hook(in.Env(), LeaveSlot, reinterpret_cast<void*>(intptr_t{slot}));
  }
  return in.Result(slot);
}

Napi::Value Kick(const Napi::CallbackInfo& info) {
  Arguments in(info, "kick");
  int slot = in.I32(0, "slot", 0, std::numeric_limits<int32_t>::max());
  return in.Result(in.Failed() ? 0 : system_kick(slot));
}

}  // namespace

const Function event_functions[] = {
    {"eventfd", Eventfd}, {"poll", Poll}, {"kickSlot", KickSlot}, {"kick", Kick},
    {nullptr, nullptr},
};
