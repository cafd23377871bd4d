#include "arguments.h"

#include <cmath>

namespace {

size_t ElementBytes(napi_typedarray_type type) {
  switch (type) {
    case napi_int8_array:
    case napi_uint8_array:
    case napi_uint8_clamped_array:
      return 1;
    case napi_int16_array:
    case napi_uint16_array:
      return 2;
    case napi_int32_array:
    case napi_uint32_array:
    case napi_float32_array:
      return 4;
    case napi_float64_array:
    case napi_bigint64_array:
    case napi_biguint64_array:
      return 8;
    default:
      return 0;
  }
}

std::string Decimal(double value) {
  return std::to_string(static_cast<int64_t>(value));
}

}  // namespace

std::string Arguments::Message(const std::string& name, const std::string& allowed) const {
  return std::string(function_) + ": " + name + " must be " + allowed;
}

void Arguments::WrongType(const char* name, const char* allowed) {
  if (!failed_) {
    failed_ = true;
    Napi::TypeError::New(Env(), Message(name, allowed)).ThrowAsJavaScriptException();
  }
}

void Arguments::WrongRange(const std::string& name, const std::string& allowed) {
  if (!failed_) {
    failed_ = true;
    Napi::RangeError::New(Env(), Message(name, allowed)).ThrowAsJavaScriptException();
  }
}

double Arguments::Number(size_t index, const char* name, double min, double max) {
  double value = 0;
  if (failed_ || napi_get_value_double(Env(), info_[index], &value) != napi_ok) {
    WrongType(name, "a number");
    return 0;
  }
  if (!(value >= min && value <= max) || std::trunc(value) != value) {
    WrongRange(name, "an integer from " + Decimal(min) + " to " + Decimal(max));
    return 0;
  }
  return value;
}

int32_t Arguments::I32(size_t index, const char* name, int32_t min, int32_t max) {
  return static_cast<int32_t>(Number(index, name, min, max));
}

uint32_t Arguments::U32(size_t index, const char* name, uint32_t max) {
  return static_cast<uint32_t>(Number(index, name, 0, max));
}

bool Arguments::Flag(size_t index, const char* name) {
  bool value = false;
  if (failed_ || napi_get_value_bool(Env(), info_[index], &value) != napi_ok) {
    WrongType(name, "true or false");
  }
  return value;
}

int Arguments::Descriptor(size_t index, const char* name) {
  int fd = I32(index, name, 0, std::numeric_limits<int32_t>::max());
  if (!failed_ && !descriptor_owned(fd)) {
    WrongRange(name, "a descriptor that this addon opened");
  }
  return fd;
}

bool Arguments::Typed_(size_t index, Typed* typed) const {
  napi_value value = info_[index];
  bool is_typed = false;
  return napi_is_typedarray(Env(), value, &is_typed) == napi_ok && is_typed &&
         napi_get_typedarray_info(Env(), value, &typed->type, &typed->count, &typed->data,
                                  &typed->buffer, &typed->offset) == napi_ok &&
         ElementBytes(typed->type) != 0;
}

Bytes Arguments::View(size_t index, const char* name, size_t least) {
  Typed typed{};
  if (failed_ || !Typed_(index, &typed)) {
    WrongType(name, "a typed array");
    return {};
  }
  Bytes bytes{static_cast<uint8_t*>(typed.data), typed.count * ElementBytes(typed.type)};
  if (bytes.length < least) {
    WrongRange(name, "at least " + std::to_string(least) + " bytes long");
  }
  return bytes;
}

/* The specification freezes the buffer of a shared memory, and of nothing else by itself
 * (WebAssembly JavaScript Interface, "refresh the memory buffer"). */
static bool IsSharedMemory(Napi::Env env, napi_value buffer, const uint8_t* start) {
  bool is_private = true;
  if (napi_is_arraybuffer(env, buffer, &is_private) != napi_ok || is_private) {
    return false;
  }
  Napi::Value object = env.Global().Get("Object");
  Napi::Value isFrozen = object.IsFunction() || object.IsObject()
                             ? object.As<Napi::Object>().Get("isFrozen")
                             : env.Undefined();
  if (!isFrozen.IsFunction()) {
    return false;
  }
  Napi::Value frozen = isFrozen.As<Napi::Function>().Call({buffer});
  return !frozen.IsEmpty() && frozen.IsBoolean() && frozen.As<Napi::Boolean>().Value() &&
         reinterpret_cast<uintptr_t>(start) % system_page_bytes() == 0;
}

Bytes Arguments::Shared(size_t index, const char* name) {
  Typed typed{};
  if (failed_ || !Typed_(index, &typed) ||
      !IsSharedMemory(Env(), typed.buffer, static_cast<uint8_t*>(typed.data) - typed.offset)) {
    WrongType(name, "a typed array over a shared WebAssembly.Memory");
    return {};
  }
  return {static_cast<uint8_t*>(typed.data), typed.count * ElementBytes(typed.type)};
}

Bytes Arguments::Pages(size_t index, const char* name) {
  Bytes bytes = Shared(index, name);
  size_t page = system_page_bytes();
  if (!failed_ && (bytes.length == 0 || bytes.length % page != 0 ||
                   reinterpret_cast<uintptr_t>(bytes.data) % page != 0)) {
    WrongRange(name, "whole pages of " + std::to_string(page) + " bytes, one or more");
  }
  return bytes;
}

std::string Arguments::Text(size_t index, const char* name, size_t max) {
  if (failed_ || !info_[index].IsString()) {
    WrongType(name, "a string");
    return {};
  }
  std::string text = info_[index].As<Napi::String>().Utf8Value();
  if (text.empty() || text.size() > max || text.find('\0') != std::string::npos) {
    WrongRange(name, "1 to " + std::to_string(max) + " bytes without NUL");
  }
  return text;
}
