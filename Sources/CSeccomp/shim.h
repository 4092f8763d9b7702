#pragma once
#include <seccomp.h>

// Macros with arguments and expressions that Swift can't import.
static inline unsigned int cseccomp_act_errno(unsigned int code) { return SCMP_ACT_ERRNO(code); }
static inline unsigned int cseccomp_act_trace(unsigned int message) { return SCMP_ACT_TRACE(message); }
static const int cseccomp_unknown_syscall = __NR_SCMP_ERROR;
