{
  "targets": [{
    "target_name": "tsbhyve",
    "sources": [
      "native/addon.cc", "native/arguments.cc", "native/events.cc", "native/files.cc",
      "native/freebsd.cc", "native/memory.cc", "native/rings.cc", "native/sockets.cc",
      "native/descriptors.c", "native/system_kick.c", "native/system_posix.c",
      "native/system_sockets.c"
    ],
    "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
    "defines": ["NAPI_VERSION=8", "NAPI_DISABLE_CPP_EXCEPTIONS"],
    "cflags": ["-O2", "-Wall", "-Wextra", "-fvisibility=hidden", "-fno-exceptions"],
    "conditions": [
      ["OS=='linux'", { "sources": ["native/system_linux.c", "native/absent_freebsd.c"] }],
      ["OS=='freebsd'", { "sources": ["native/system_freebsd.c", "native/absent_rings.c"] }],
      ["OS=='solaris'", {
        "sources": [
          "native/system_illumos.c", "native/absent_freebsd.c", "native/absent_rings.c"
        ],
        "libraries": ["-lsocket"]
      }]
    ]
  }]
}
