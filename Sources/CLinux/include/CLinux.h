#pragma once
// Linux system calls and constants that Swift's Glibc module leaves out or can't import.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
// Under _GNU_SOURCE a member of fd_set has another name than in Swift's Glibc module, and the compiler refuses to merge the
// two. Nothing here needs select.
#define _SYS_SELECT_H 1
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

/// prctl is variadic: Swift can't call it.
static inline int clinux_prctl(int option, unsigned long argument) { return prctl(option, argument, 0, 0, 0); }

/// What a child process is made of. Descriptors 0, 1 and 2 of the child are `input`, `output` and `error`; it keeps no other.
struct clinux_child {
  const char *path;
  char *const *argv;
  char *const *envp;
  /// NULL: the parent's.
  const char *directory;
  int input, output, error;
  /// Sent to the child when the thread that made it ends.
  int death_signal;
};

/// Starts a child in a process group of its own, with default signal handling and nothing blocked.
/// Returns its pid, or the negative errno of what failed, the exec included.
pid_t clinux_spawn(const struct clinux_child *child);

/// A descriptor that becomes readable when the process ends; -1 where the kernel can't.
static inline int clinux_pidfd_open(pid_t pid) {
#ifdef SYS_pidfd_open
  return (int)syscall(SYS_pidfd_open, pid, 0);
#else
  return -1;
#endif
}

/// Puts the calling thread into the network namespace that the descriptor (of a `/proc/<pid>/ns/net`) stands for.
static inline int clinux_enter_network(int descriptor) { return setns(descriptor, CLONE_NEWNET); }
