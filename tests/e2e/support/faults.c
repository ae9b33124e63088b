// Preloaded into the broker (LD_PRELOAD): makes calls on files below FB_FAULTS_BELOW fail, moves the wall clock and holds
// a thread, as the file FB_FAULTS says while the process runs. The file is mapped: faults.py writes it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct control {
    int32_t sync_error;   // errno of fsync and fdatasync; 0: they work
    int32_t write_error;  // of everything that writes into a file
    int32_t create_error; // of what makes, renames or removes files, and opens them for writing
    int32_t hits;         // calls that failed by this
    int64_t clock_s;      // added to the wall clock
    int32_t hold_queues;  // the thread that reads the queues after a start waits while this is set
};

static struct control calm;
static volatile struct control* control = &calm;
static char below[PATH_MAX];

__attribute__((constructor)) static void begin(void) {
    const char* file = getenv("FB_FAULTS");
    const char* directory = getenv("FB_FAULTS_BELOW");
    if (file == NULL || directory == NULL) return;
    const int fd = open(file, O_RDWR | O_CLOEXEC);
    if (fd < 0) abort();
    void* page = mmap(NULL, sizeof calm, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED) abort();
    close(fd);
    snprintf(below, sizeof below, "%s", directory);
    control = page;
}

static int is_ours(const char* path) { return below[0] != 0 && strncmp(path, below, strlen(below)) == 0; }

static int fails(int error) {
    __atomic_fetch_add((int32_t*)&control->hits, 1, __ATOMIC_RELAXED);
    errno = error;
    return 1;
}

static int fd_fails(int fd, int error) {
    char link[64], path[PATH_MAX];
    if (error == 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t size = readlink(link, path, sizeof path - 1);
    if (size <= 0) return 0;
    path[size] = 0;
    return is_ours(path) && fails(error);
}

static int path_fails(const char* path) {
    return control->create_error != 0 && is_ours(path) && fails(control->create_error);
}

// A function of the C library with the same arguments, that fails when `condition` says so.
#define FAULTY(type, name, parameters, arguments, condition)          \
    type name parameters {                                             \
        static type(*next) parameters;                                 \
        if (condition) return (type)-1;                                \
        if (next == NULL) next = (type(*) parameters)dlsym(RTLD_NEXT, #name); \
        return next arguments;                                         \
    }

FAULTY(int, fsync, (int fd), (fd), fd_fails(fd, control->sync_error))
FAULTY(int, fdatasync, (int fd), (fd), fd_fails(fd, control->sync_error))
FAULTY(int, sync_file_range, (int fd, off64_t at, off64_t n, unsigned flags), (fd, at, n, flags),
       fd_fails(fd, control->sync_error))
FAULTY(ssize_t, write, (int fd, const void* data, size_t n), (fd, data, n), fd_fails(fd, control->write_error))
FAULTY(ssize_t, pwrite, (int fd, const void* data, size_t n, off_t at), (fd, data, n, at),
       fd_fails(fd, control->write_error))
FAULTY(ssize_t, pwrite64, (int fd, const void* data, size_t n, off64_t at), (fd, data, n, at),
       fd_fails(fd, control->write_error))
FAULTY(ssize_t, writev, (int fd, const struct iovec* parts, int n), (fd, parts, n), fd_fails(fd, control->write_error))
FAULTY(ssize_t, pwritev, (int fd, const struct iovec* parts, int n, off_t at), (fd, parts, n, at),
       fd_fails(fd, control->write_error))
FAULTY(ssize_t, pwritev64, (int fd, const struct iovec* parts, int n, off64_t at), (fd, parts, n, at),
       fd_fails(fd, control->write_error))
FAULTY(int, ftruncate, (int fd, off_t size), (fd, size), fd_fails(fd, control->write_error))
FAULTY(int, ftruncate64, (int fd, off64_t size), (fd, size), fd_fails(fd, control->write_error))
FAULTY(int, fallocate, (int fd, int mode, off_t at, off_t n), (fd, mode, at, n), fd_fails(fd, control->write_error))
FAULTY(int, fallocate64, (int fd, int mode, off64_t at, off64_t n), (fd, mode, at, n),
       fd_fails(fd, control->write_error))
FAULTY(int, rename, (const char* from, const char* to), (from, to), path_fails(from))
FAULTY(int, unlink, (const char* path), (path), path_fails(path))
FAULTY(int, mkdir, (const char* path, mode_t mode), (path, mode), path_fails(path))

// These two give the error itself.
#define FAULTY_FALLOCATE(name, type)                                                      \
    int name(int fd, type at, type n) {                                                   \
        static int (*next)(int, type, type);                                              \
        if (fd_fails(fd, control->write_error)) return errno;                             \
        if (next == NULL) next = (int (*)(int, type, type))dlsym(RTLD_NEXT, #name);       \
        return next(fd, at, n);                                                           \
    }
FAULTY_FALLOCATE(posix_fallocate, off_t)
FAULTY_FALLOCATE(posix_fallocate64, off64_t)

static int open_fails(const char* path, int flags) {
    const int writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT) != 0;
    return writes && path_fails(path);
}

static mode_t mode_of(int flags, va_list more) { return (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0; }

#define FAULTY_OPEN(name, more_flags)                                                     \
    int name(const char* path, int flags, ...) {                                          \
        va_list more;                                                                     \
        va_start(more, flags);                                                            \
        const mode_t mode = mode_of(flags, more);                                         \
        va_end(more);                                                                     \
        if (open_fails(path, flags)) return -1;                                           \
        return (int)syscall(SYS_openat, AT_FDCWD, path, flags | more_flags, mode);        \
    }
FAULTY_OPEN(open, 0)
FAULTY_OPEN(open64, O_LARGEFILE)

int pthread_setname_np(pthread_t thread, const char* name) {
    static int (*next)(pthread_t, const char*);
    while (control->hold_queues != 0 && strcmp(name, "fb-queues") == 0) usleep(1000);
    if (next == NULL) next = (int (*)(pthread_t, const char*))dlsym(RTLD_NEXT, "pthread_setname_np");
    return next(thread, name);
}

int clock_gettime(clockid_t which, struct timespec* now) {
    static int (*next)(clockid_t, struct timespec*);
    if (next == NULL) next = (int (*)(clockid_t, struct timespec*))dlsym(RTLD_NEXT, "clock_gettime");
    const int result = next(which, now);
    if (result == 0 && which == CLOCK_REALTIME) now->tv_sec += control->clock_s;
    return result;
}

int gettimeofday(struct timeval* now, void* zone) {
    (void)zone;
    struct timespec t;
    if (clock_gettime(CLOCK_REALTIME, &t) != 0) return -1;
    now->tv_sec = t.tv_sec;
    now->tv_usec = t.tv_nsec / 1000;
    return 0;
}

time_t time(time_t* to) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (to != NULL) *to = t.tv_sec;
    return t.tv_sec;
}
