/* UNIX sockets, and descriptors sent through them. */
#include "arguments.h"
#include "functions.h"

namespace {

Napi::Value SocketPair(const Napi::CallbackInfo& info) {
  Arguments in(info, "socketPair");
  size_t count = 0;
  auto* fds = in.Elements<int32_t>(0, "fds", napi_int32_array, &count);
  if (!in.Failed() && count < 2) {
    in.WrongRange("fds", "two cells long");
  }
  return in.Result(in.Failed() ? 0 : system_socket_pair(fds));
}

Napi::Value UnixConnect(const Napi::CallbackInfo& info) {
  Arguments in(info, "unixConnect");
  std::string path = in.Text(0, "path", system_unix_path_max());
  return in.Result(in.Failed() ? 0 : system_unix_connect(path.c_str()));
}

Napi::Value UnixListen(const Napi::CallbackInfo& info) {
  Arguments in(info, "unixListen");
  std::string path = in.Text(0, "path", system_unix_path_max());
  int backlog = in.I32(1, "backlog", 0, 4096);
  return in.Result(in.Failed() ? 0 : system_unix_listen(path.c_str(), backlog));
}

Napi::Value Accept(const Napi::CallbackInfo& info) {
  Arguments in(info, "accept");
  int fd = in.Descriptor(0);
  return in.Result(in.Failed() ? 0 : system_accept(fd));
}

/* The table of descriptors of a message. */
int32_t* Table(Arguments& in, size_t index, size_t* count) {
  auto* fds = in.Elements<int32_t>(index, "fds", napi_int32_array, count);
  if (!in.Failed() && *count > descriptors_max) {
    in.WrongRange("fds", "at most " + std::to_string(descriptors_max) + " descriptors");
  }
  return fds;
}

Napi::Value Send(const Napi::CallbackInfo& info) {
  Arguments in(info, "send");
  int fd = in.Descriptor(0);
  Bytes bytes = in.View(1, "bytes", 1);
  size_t count = 0;
  int32_t* fds = Table(in, 2, &count);
  int32_t checked[descriptors_max];
  for (size_t i = 0; i < count && !in.Failed(); i += 1) {
    checked[i] = fds[i];
    if (!descriptor_owned(checked[i])) {
      in.WrongRange("fds", "descriptors that this addon opened");
    }
  }
  return in.Result(in.Failed() ? 0 : system_send(fd, bytes.data, bytes.length, checked, count));
}

Napi::Value Receive(const Napi::CallbackInfo& info) {
  Arguments in(info, "receive");
  int fd = in.Descriptor(0);
  Bytes bytes = in.View(1, "bytes", 1);
  size_t count = 0;
  int32_t* fds = Table(in, 2, &count);
  return in.Result(in.Failed() ? 0 : system_receive(fd, bytes.data, bytes.length, fds, count));
}

}  // namespace

const Function socket_functions[] = {
    {"socketPair", SocketPair}, {"unixConnect", UnixConnect}, {"unixListen", UnixListen},
    {"accept", Accept},         {"send", Send},               {"receive", Receive},
    {nullptr, nullptr},
};
