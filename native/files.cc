/* open, close, ioctl, and batches of reads and writes. */
#include "arguments.h"
#include "functions.h"

namespace {

constexpr size_t path_max = 4096;

Napi::Value Open(const Napi::CallbackInfo& info) {
  Arguments in(info, "open");
  std::string path = in.Text(0, "path", path_max);
  int flags = in.I32(1, "flags", 0, std::numeric_limits<int32_t>::max());
  int mode = in.Has(2) ? in.I32(2, "mode", 0, 07777) : 0;
  return in.Result(in.Failed() ? 0 : system_open(path.c_str(), flags, mode));
}

Napi::Value Adopt(const Napi::CallbackInfo& info) {
  Arguments in(info, "adopt");
  int fd = in.I32(0, "fd", 0, std::numeric_limits<int32_t>::max());
  return in.Result(in.Failed() ? 0 : system_adopt(fd));
}

Napi::Value Close(const Napi::CallbackInfo& info) {
  Arguments in(info, "close");
  int fd = in.Descriptor(0);
  return in.Result(in.Failed() ? 0 : system_close(fd));
}

Napi::Value SetBlocking(const Napi::CallbackInfo& info) {
  Arguments in(info, "setBlocking");
  int fd = in.Descriptor(0);
  bool blocking = in.Flag(1, "blocking");
  return in.Result(in.Failed() ? 0 : system_set_blocking(fd, blocking));
}

Napi::Value Ioctl(const Napi::CallbackInfo& info) {
  Arguments in(info, "ioctl");
  int fd = in.Descriptor(0);
  uint32_t request = in.U32(1, "request");
  Bytes bytes = in.View(2, "bytes", system_ioctl_bytes(request));
  return in.Result(in.Failed() ? 0 : system_ioctl(fd, request, bytes.data, bytes.length));
}

Napi::Value IoctlValue(const Napi::CallbackInfo& info) {
  Arguments in(info, "ioctlValue");
  int fd = in.Descriptor(0);
  uint32_t request = in.U32(1, "request");
  uint32_t value = in.U32(2, "value");
  if (!in.Failed() && !system_ioctl_value_allowed(request, value)) {
    in.WrongRange("value", "a plain value, which cannot be taken for an address");
  }
  return in.Result(in.Failed() ? 0 : system_ioctl_value(fd, request, value));
}

Napi::Value Transfer(const Napi::CallbackInfo& info) {
  Arguments in(info, "transfer");
  int fd = in.Descriptor(0);
  Bytes memory = in.View(1, "memory");
  size_t request_cells = 0, segment_cells = 0;
  double* requests = in.Elements<double>(2, "requests", napi_float64_array, &request_cells);
  uint32_t count = in.U32(3, "count");
  double* segments = in.Elements<double>(4, "segments", napi_float64_array, &segment_cells);
  if (!in.Failed() && count > request_cells / transfer_columns) {
    in.WrongRange("count", "at most the rows of requests");
  }
  if (in.Failed()) {
    return in.Result(0);
  }
  batch work{memory.data, memory.length, requests, count, segments,
             segment_cells / segment_columns};
  int64_t done = system_transfer(fd, &work);
  if (done <= transfer_invalid) {
    in.WrongRange("request " + std::to_string(transfer_invalid - done),
                  "a kind, a position, and segments within their table and the memory");
  }
  return in.Result(done);
}

}  // namespace

const Function file_functions[] = {
    {"open", Open},   {"adopt", Adopt},           {"close", Close},       {"setBlocking", SetBlocking},
    {"ioctl", Ioctl}, {"ioctlValue", IoctlValue}, {"transfer", Transfer}, {nullptr, nullptr},
};
