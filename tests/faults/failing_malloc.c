// Loaded before the C library: once armed, one of the next allocations of this thread fails.
#include <errno.h>
#include <stddef.h>

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);

static _Thread_local long left = -1;

void fail_after(long allocations) { left = allocations; }

static int fails(void) {
  if (left < 0 || left-- > 0) return 0;
  errno = ENOMEM;
  return 1;
}

void *malloc(size_t n) { return fails() ? NULL : __libc_malloc(n); }
void *calloc(size_t count, size_t n) { return fails() ? NULL : __libc_calloc(count, n); }
void *realloc(void *old, size_t n) { return fails() ? NULL : __libc_realloc(old, n); }
