#include "CLinux.h"
#include <errno.h>
#include <sys/wait.h>

// Only calls that are safe between fork and exec.
static void clinux_exec(const struct clinux_child *spawn, pid_t parent) {
  struct sigaction standard = {.sa_handler = SIG_DFL};
  for (int number = 1; number < NSIG; number++) sigaction(number, &standard, NULL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  setpgid(0, 0);
  if (prctl(PR_SET_PDEATHSIG, spawn->death_signal, 0, 0, 0) < 0) return;
  // The parent may have ended before the signal was set.
  if (getppid() != parent) _exit(127);
  if (spawn->directory && chdir(spawn->directory) < 0) return;
  // First out of the way of 0, 1 and 2, then into place.
  int wished[3] = {spawn->input, spawn->output, spawn->error};
  for (int place = 0; place < 3; place++) {
    wished[place] = fcntl(wished[place], F_DUPFD_CLOEXEC, 3);
    if (wished[place] < 0) return;
  }
  for (int place = 0; place < 3; place++) {
    if (dup2(wished[place], place) < 0) return;
  }
#ifdef SYS_close_range
  // 4: CLOSE_RANGE_CLOEXEC. Older kernels rely on every descriptor being close-on-exec.
  syscall(SYS_close_range, 3, ~0U, 4);
#endif
  execve(spawn->path, spawn->argv, spawn->envp);
}

pid_t clinux_spawn(const struct clinux_child *spawn) {
  int report[2];
  if (pipe2(report, O_CLOEXEC) < 0) return -errno;
  pid_t parent = getpid();
  pid_t child = fork();
  if (child == 0) {
    // The write end must survive the moves of 0, 1 and 2.
    int high = fcntl(report[1], F_DUPFD_CLOEXEC, 3);
    if (high >= 0) clinux_exec(spawn, parent);
    int problem = errno;
    ssize_t written = write(high >= 0 ? high : report[1], &problem, sizeof problem);
    (void)written;
    _exit(127);
  }
  int problem = child < 0 ? errno : 0;
  close(report[1]);
  if (child > 0) {
    ssize_t count;
    do count = read(report[0], &problem, sizeof problem);
    while (count < 0 && errno == EINTR);
    if (count != sizeof problem) problem = 0;
  }
  close(report[0]);
  if (problem == 0) return child;
  if (child > 0) {
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {}
  }
  return -problem;
}
