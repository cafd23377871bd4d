/* io_uring(7): the rings are typed arrays of the caller (`mapOver`), the addon only enters. */
#include "arguments.h"
#include "functions.h"

namespace {

/* GETEVENTS, SQ_WAKEUP, SQ_WAIT: the flags whose argument is not a further structure. */
constexpr uint32_t enter_flags = 7;

Napi::Value RingSetup(const Napi::CallbackInfo& info) {
  Arguments in(info, "ringSetup");
  uint32_t entries = in.U32(0, "entries");
  Bytes params = in.View(1, "params", ring_params_bytes);
  return in.Result(in.Failed() ? 0 : system_ring_setup(entries, params.data));
}

Napi::Value RingEnter(const Napi::CallbackInfo& info) {
  Arguments in(info, "ringEnter");
  int fd = in.Descriptor(0);
  uint32_t to_submit = in.U32(1, "toSubmit");
  uint32_t min_complete = in.U32(2, "minComplete");
  uint32_t flags = in.U32(3, "flags", enter_flags);
  return in.Result(in.Failed() ? 0 : system_ring_enter(fd, to_submit, min_complete, flags));
}

Napi::Value RingRegister(const Napi::CallbackInfo& info) {
  Arguments in(info, "ringRegister");
  int fd = in.Descriptor(0);
  uint32_t opcode = in.U32(1, "opcode");
  Bytes bytes = in.View(2, "bytes");
  uint32_t count = in.U32(3, "count");
  return in.Result(
      in.Failed() ? 0 : system_ring_register(fd, opcode, bytes.data, bytes.length, count));
}

}  // namespace

const Function ring_functions[] = {
    {"ringSetup", RingSetup}, {"ringEnter", RingEnter}, {"ringRegister", RingRegister},
    {nullptr, nullptr},
};
