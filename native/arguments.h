/* Checked arguments of one call. The first wrong one throws a TypeError or RangeError that names
 * function, argument and what is allowed; after that `Failed()` is true and values mean nothing. */
#ifndef TSBHYVE_ARGUMENTS_H
#define TSBHYVE_ARGUMENTS_H

#include <napi.h>

#include <cstdint>
#include <limits>
#include <string>

extern "C" {
#include "system.h"
}

struct Bytes {
  uint8_t* data = nullptr;
  size_t length = 0;
};

class Arguments {
 public:
  Arguments(const Napi::CallbackInfo& info, const char* function)
      : info_(info), function_(function) {}

  bool Failed() const { return failed_; }
  Napi::Env Env() const { return info_.Env(); }
  bool Has(size_t index) const { return !info_[index].IsUndefined(); }

  double Number(size_t index, const char* name, double min, double max);
  int32_t I32(size_t index, const char* name, int32_t min, int32_t max);
  uint32_t U32(size_t index, const char* name,
               uint32_t max = std::numeric_limits<uint32_t>::max());
  bool Flag(size_t index, const char* name);
  /* A descriptor that the addon opened. */
  int Descriptor(size_t index, const char* name = "fd");
  /* Any typed array; at least `least` bytes. */
  Bytes View(size_t index, const char* name, size_t least = 0);
  /* A typed array of this type; the length is in elements. */
  template <typename T>
  T* Elements(size_t index, const char* name, napi_typedarray_type type, size_t* count);
  /* A view of a shared WebAssembly.Memory. */
  Bytes Shared(size_t index, const char* name);
  /* Whole pages of a shared WebAssembly.Memory: memory that no allocator hands out again. */
  Bytes Pages(size_t index, const char* name);
  std::string Text(size_t index, const char* name, size_t max);

  /* A result of the system layer; undefined once an argument was wrong. */
  Napi::Value Result(int64_t result) const {
    return failed_ ? Env().Undefined() : Napi::Value(Napi::Number::New(Env(), double(result)));
  }
  void WrongType(const char* name, const char* allowed);
  void WrongRange(const std::string& name, const std::string& allowed);

 private:
  struct Typed {
    napi_typedarray_type type;
    size_t count;
    void* data;
    napi_value buffer;
    size_t offset;
  };
  bool Typed_(size_t index, Typed* typed) const;
  std::string Message(const std::string& name, const std::string& allowed) const;

  const Napi::CallbackInfo& info_;
  const char* function_;
  bool failed_ = false;
};

template <typename T>
T* Arguments::Elements(size_t index, const char* name, napi_typedarray_type type, size_t* count) {
  Typed typed{};
  if (failed_ || !Typed_(index, &typed) || typed.type != type) {
    WrongType(name, type == napi_float64_array ? "a Float64Array" : "an Int32Array");
    *count = 0;
    return nullptr;
  }
  *count = typed.count;
  return static_cast<T*>(typed.data);
}

#endif
