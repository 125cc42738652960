// Stops a program at a chosen step of its work on files, or tells it that the disk is full.
//
//   LD_PRELOAD=file_faults.so FAULT_KIND=kill FAULT_AT=7 PROGRAM ...
//
// A step is a call that changes a file system. `kill` ends the process by SIGKILL instead of step
// FAULT_AT; `full` lets that step and all later ones that need space fail with ENOSPC. Built and
// used by test_file_faults.py.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long steps;

// True where the step must fail for want of space.
static int step(int needs_space) {
  const char* kind = getenv("FAULT_KIND");
  const char* at = getenv("FAULT_AT");
  if (kind == NULL || at == NULL) return 0;
  const int full = strcmp(kind, "full") == 0;
  if (full && !needs_space) return 0;
  const long number = atomic_fetch_add(&steps, 1) + 1;
  if (number < atol(at)) return 0;
  if (!full) raise(SIGKILL);
  errno = ENOSPC;
  return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t pwrite(int file, const void* data, size_t size, off_t offset) {
  return step(1) ? -1 : REAL(pwrite)(file, data, size, offset);
}
ssize_t pwrite64(int file, const void* data, size_t size, off64_t offset) {
  return step(1) ? -1 : REAL(pwrite64)(file, data, size, offset);
}
int ftruncate(int file, off_t size) { return step(0) ? -1 : REAL(ftruncate)(file, size); }
int ftruncate64(int file, off64_t size) { return step(0) ? -1 : REAL(ftruncate64)(file, size); }
int truncate(const char* path, off_t size) { return step(0) ? -1 : REAL(truncate)(path, size); }
int truncate64(const char* path, off64_t size) {
  return step(0) ? -1 : REAL(truncate64)(path, size);
}
int fdatasync(int file) { return step(1) ? -1 : REAL(fdatasync)(file); }
int mkdir(const char* path, mode_t mode) { return step(1) ? -1 : REAL(mkdir)(path, mode); }
int rename(const char* from, const char* to) { return step(0) ? -1 : REAL(rename)(from, to); }
int unlink(const char* path) { return step(0) ? -1 : REAL(unlink)(path); }
int unlinkat(int folder, const char* path, int flags) {
  return step(0) ? -1 : REAL(unlinkat)(folder, path, flags);
}
int rmdir(const char* path) { return step(0) ? -1 : REAL(rmdir)(path); }
int remove(const char* path) { return step(0) ? -1 : REAL(remove)(path); }

static mode_t mode_of(int flags, va_list arguments) {
  return flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
}
int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  if ((flags & O_CREAT) && step(1)) return -1;
  return REAL(open)(path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  if ((flags & O_CREAT) && step(1)) return -1;
  return REAL(open64)(path, flags, mode);
}
