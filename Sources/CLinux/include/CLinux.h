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
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

/// prctl is variadic: Swift can't call it.
static inline int clinux_prctl(int option, unsigned long argument) { return prctl(option, argument, 0, 0, 0); }
