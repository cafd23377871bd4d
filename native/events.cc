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

/* The thread's slot, and the view whose memory its kicks write to. */
struct Slot {
  int number;
  Napi::ObjectReference cell;
};

thread_local Slot* own_slot = nullptr;

void LeaveSlot(void* data) {
  system_kick_leave(static_cast<Slot*>(data)->number);
  delete static_cast<Slot*>(data);
  own_slot = nullptr;
}

int OwnSlot(Napi::Env env) {
  if (own_slot == nullptr) {
    int number = system_kick_slot();
    if (number < 0) {
      return number;
    }
    own_slot = new Slot{number, {}};
    napi_add_env_cleanup_hook(env, LeaveSlot, own_slot);
  }
  return own_slot->number;
}

Napi::Value KickSlot(const Napi::CallbackInfo& info) {
  return Arguments(info, "kickSlot").Result(OwnSlot(info.Env()));
}

Napi::Value KickCell(const Napi::CallbackInfo& info) {
  Arguments in(info, "kickCell");
  Bytes cell = in.Shared(0, "cell");
  if (!in.Failed() && cell.length != 1) {
    in.WrongRange("cell", "one byte long");
  }
  int slot = in.Failed() ? -1 : OwnSlot(in.Env());
  if (slot >= 0) {
    system_kick_cell(cell.data);
    own_slot->cell = Napi::Persistent(info[0].As<Napi::Object>());
  }
  return in.Result(slot);
}

Napi::Value KickAfter(const Napi::CallbackInfo& info) {
  Arguments in(info, "kickAfter");
  double nanoseconds = in.Number(0, "nanoseconds", 0, 9007199254740991.0);
  int slot = in.Failed() ? -1 : OwnSlot(in.Env());
  return in.Result(slot < 0 ? slot : system_kick_after(static_cast<int64_t>(nanoseconds)));
}

Napi::Value Kick(const Napi::CallbackInfo& info) {
  Arguments in(info, "kick");
  int slot = in.I32(0, "slot", 0, std::numeric_limits<int32_t>::max());
  return in.Result(in.Failed() ? 0 : system_kick(slot));
}

}  // namespace

const Function event_functions[] = {
    {"eventfd", Eventfd}, {"poll", Poll}, {"kickSlot", KickSlot}, {"kick", Kick},
    {"kickCell", KickCell}, {"kickAfter", KickAfter},
    {nullptr, nullptr},
};
