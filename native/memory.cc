/* Addresses and mappings. */
#include "arguments.h"
#include "functions.h"

namespace {

constexpr double length_max = 9007199254740991.0; /* 2^53 - 1 */
constexpr size_t memfd_name_max = 249;            /* memfd_create(2) */

Napi::Value AddressOf(const Napi::CallbackInfo& info) {
  Arguments in(info, "addressOf");
  Bytes bytes = in.View(0, "bytes");
  return in.Result(static_cast<int64_t>(reinterpret_cast<uintptr_t>(bytes.data)));
}

Napi::Value PageBytes(const Napi::CallbackInfo& info) {
  return Arguments(info, "pageBytes").Result(static_cast<int64_t>(system_page_bytes()));
}

Napi::Value MapOver(const Napi::CallbackInfo& info) {
  Arguments in(info, "mapOver");
  Bytes pages = in.Pages(0, "memory");
  int fd = in.Descriptor(1);
  double offset = in.Number(2, "offset", 0, length_max);
  return in.Result(in.Failed() ? 0
                               : system_map_over(pages.data, pages.length, fd,
                                                 static_cast<int64_t>(offset)));
}

Napi::Value MapZeroes(const Napi::CallbackInfo& info) {
  Arguments in(info, "mapZeroes");
  Bytes pages = in.Pages(0, "memory");
  return in.Result(in.Failed() ? 0 : system_map_zeroes(pages.data, pages.length));
}

Napi::Value Memfd(const Napi::CallbackInfo& info) {
  Arguments in(info, "memfd");
  std::string name = in.Text(0, "name", memfd_name_max);
  double length = in.Number(1, "length", 0, length_max);
  return in.Result(in.Failed() ? 0 : system_memfd(name.c_str(), static_cast<int64_t>(length)));
}

}  // namespace

const Function memory_functions[] = {
    {"addressOf", AddressOf}, {"pageBytes", PageBytes}, {"mapOver", MapOver},
    {"mapZeroes", MapZeroes}, {"memfd", Memfd},         {nullptr, nullptr},
};
