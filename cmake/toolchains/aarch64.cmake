# 64-bit ARM on another machine: g++-aarch64-linux-gnu compiles, qemu-user-static runs the tests.
# Debian: dpkg --add-architecture arm64, then install libssl-dev, libgtest-dev, libgmock-dev, libutf8proc-dev and
# libpcre2-dev, each with :arm64. libsentencepiece-dev:arm64 takes the place of the native one.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH /usr/aarch64-linux-gnu /usr/lib/aarch64-linux-gnu /usr)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(ENV{PKG_CONFIG_LIBDIR} /usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig)
find_program(HELIX_QEMU NAMES qemu-aarch64-static qemu-aarch64)
if(HELIX_QEMU)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${HELIX_QEMU})
endif()
