// Calls without a model, which may block or whose result depends on the world: a run that makes one ends, with its
// name.
#include <aio.h>
#include <arpa/inet.h>
#include <errno.h>
#include <mqueue.h>
#include <netdb.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstring>

#include "harness/lab/kernel_call.h"
#include "harness/lab/sync/sync.h"

using namespace rig::lab;

// RIG_LAB_REFUSE defines a function that ends a run; RIG_LAB_REFUSE_IF one that does so on a condition on its
// arguments.
#define RIG_LAB_REFUSE_IF(result, name, parameters, arguments, condition, why) \
  namespace rig::lab {                                                         \
  namespace {                                                                  \
  RIG_LAB_REAL(name);                                                          \
  }                                                                            \
  }                                                                            \
  RIG_LAB_EXPORT result name parameters {                                      \
    if (!outside() && (condition)) {                                           \
      refuse(#name, why);                                                      \
    }                                                                          \
    return real_##name arguments;                                              \
  }
#define RIG_LAB_REFUSE(result, name, parameters, arguments, why) \
  RIG_LAB_REFUSE_IF(result, name, parameters, arguments, true, why)

namespace {

constexpr const char* signals = "it waits for a signal, and signals come from outside";
constexpr const char* children = "it waits for another process";
constexpr const char* processes = "a process has no place in a run";
constexpr const char* timers = "it sends signals by the system's clock";
constexpr const char* queues = "it waits for another process's message";
constexpr const char* locks = "it waits for another process's lock";
constexpr const char* resolver = "only numeric addresses have an answer that no network decides";
constexpr const char* files = "it waits for the system's own input and output";

bool is_numeric(const char* host) {
  if (host == nullptr) {
    return true;
  }
  // An IPv6 address may have a scope behind a percent sign.
  const std::string address(host, strcspn(host, "%"));
  unsigned char binary[16];
  return inet_pton(AF_INET, address.c_str(), binary) == 1 || inet_pton(AF_INET6, address.c_str(), binary) == 1;
}

bool is_numeric_only(const char* host, const addrinfo* hints) {
  return (hints != nullptr && (hints->ai_flags & AI_NUMERICHOST) != 0) || is_numeric(host);
}

}  // namespace

RIG_LAB_REFUSE(int, pause, (), (), signals)
RIG_LAB_REFUSE(int, sigsuspend, (const sigset_t* set), (set), signals)
RIG_LAB_REFUSE(int, sigwait, (const sigset_t* set, int* signal), (set, signal), signals)
RIG_LAB_REFUSE(int, sigwaitinfo, (const sigset_t* set, siginfo_t* info), (set, info), signals)
// With no time to wait it takes a signal back that is pending on the calling thread, or finds none.
RIG_LAB_REFUSE_IF(int, sigtimedwait, (const sigset_t* set, siginfo_t* info, const timespec* time), (set, info, time),
                  time == nullptr || time->tv_sec != 0 || time->tv_nsec != 0, signals)

RIG_LAB_REFUSE(pid_t, wait, (int* status), (status), children)
RIG_LAB_REFUSE_IF(pid_t, waitpid, (pid_t child, int* status, int options), (child, status, options),
                  (options & WNOHANG) == 0, children)
RIG_LAB_REFUSE_IF(int, waitid, (idtype_t type, id_t id, siginfo_t* info, int options), (type, id, info, options),
                  (options & WNOHANG) == 0, children)
RIG_LAB_REFUSE_IF(pid_t, wait3, (int* status, int options, rusage* usage) noexcept, (status, options, usage),
                  (options & WNOHANG) == 0, children)
RIG_LAB_REFUSE_IF(pid_t, wait4, (pid_t child, int* status, int options, rusage* usage) noexcept,
                  (child, status, options, usage), (options & WNOHANG) == 0, children)

RIG_LAB_REFUSE(pid_t, fork, () noexcept, (), processes)
RIG_LAB_REFUSE(int, system, (const char* command), (command), processes)
RIG_LAB_REFUSE(FILE*, popen, (const char* command, const char* modes), (command, modes), processes)
RIG_LAB_REFUSE(int, posix_spawn,
               (pid_t * child, const char* path, const posix_spawn_file_actions_t* actions,
                const posix_spawnattr_t* attributes, char* const arguments[], char* const environment[]),
               (child, path, actions, attributes, arguments, environment), processes)
RIG_LAB_REFUSE(int, posix_spawnp,
               (pid_t * child, const char* file, const posix_spawn_file_actions_t* actions,
                const posix_spawnattr_t* attributes, char* const arguments[], char* const environment[]),
               (child, file, actions, attributes, arguments, environment), processes)

// Outside of a run it forks: the system's vfork returns twice from its caller's frame, which a function in between
// would have left by then.
RIG_LAB_EXPORT pid_t vfork() noexcept {
  if (!outside()) {
    refuse("vfork", processes);
  }
  return real_fork();
}

RIG_LAB_REFUSE(int, timer_create, (clockid_t clock, sigevent* event, timer_t* timer) noexcept, (clock, event, timer),
               timers)
RIG_LAB_REFUSE(int, setitimer, (__itimer_which_t which, const itimerval* value, itimerval* old) noexcept,
               (which, value, old), timers)
RIG_LAB_REFUSE(unsigned, alarm, (unsigned seconds) noexcept, (seconds), timers)
RIG_LAB_REFUSE(useconds_t, ualarm, (useconds_t value, useconds_t interval) noexcept, (value, interval), timers)

RIG_LAB_REFUSE_IF(int, msgsnd, (int queue, const void* message, size_t size, int flags), (queue, message, size, flags),
                  (flags & IPC_NOWAIT) == 0, queues)
RIG_LAB_REFUSE_IF(ssize_t, msgrcv, (int queue, void* message, size_t size, long type, int flags),
                  (queue, message, size, type, flags), (flags & IPC_NOWAIT) == 0, queues)
RIG_LAB_REFUSE(int, semop, (int set, sembuf* operations, size_t count) noexcept, (set, operations, count), locks)
RIG_LAB_REFUSE(int, semtimedop, (int set, sembuf* operations, size_t count, const timespec* time) noexcept,
               (set, operations, count, time), locks)
RIG_LAB_REFUSE(int, mq_send, (mqd_t queue, const char* message, size_t size, unsigned priority),
               (queue, message, size, priority), queues)
RIG_LAB_REFUSE(ssize_t, mq_receive, (mqd_t queue, char* message, size_t size, unsigned* priority),
               (queue, message, size, priority), queues)
RIG_LAB_REFUSE(int, mq_timedsend,
               (mqd_t queue, const char* message, size_t size, unsigned priority, const timespec* time),
               (queue, message, size, priority, time), queues)
RIG_LAB_REFUSE(ssize_t, mq_timedreceive,
               (mqd_t queue, char* message, size_t size, unsigned* priority, const timespec* time),
               (queue, message, size, priority, time), queues)

RIG_LAB_REFUSE_IF(int, flock, (int file, int operation) noexcept, (file, operation),
                  (operation & (LOCK_NB | LOCK_UN)) == 0, locks)
RIG_LAB_REFUSE_IF(int, lockf, (int file, int command, off_t size), (file, command, size), command == F_LOCK, locks)
RIG_LAB_REFUSE_IF(int, lockf64, (int file, int command, off64_t size), (file, command, size), command == F_LOCK, locks)
RIG_LAB_REFUSE(int, aio_suspend, (const aiocb* const list[], int count, const timespec* time), (list, count, time),
               files)
RIG_LAB_REFUSE(int, epoll_pwait2,
               (int epoll, epoll_event* events, int count, const timespec* time, const sigset_t* set),
               (epoll, events, count, time, set), "epoll_wait and epoll_pwait have one")

RIG_LAB_REFUSE_IF(int, getaddrinfo, (const char* host, const char* service, const addrinfo* hints, addrinfo** result),
                  (host, service, hints, result), !is_numeric_only(host, hints), resolver)
RIG_LAB_REFUSE_IF(int, getnameinfo,
                  (const sockaddr* address, socklen_t size, char* host, socklen_t host_size, char* service,
                   socklen_t service_size, int flags),
                  (address, size, host, host_size, service, service_size, flags),
                  host != nullptr && host_size > 0 && (flags & NI_NUMERICHOST) == 0, resolver)
RIG_LAB_REFUSE_IF(hostent*, gethostbyname, (const char* host), (host), !is_numeric(host), resolver)
RIG_LAB_REFUSE(hostent*, gethostbyaddr, (const void* address, socklen_t size, int family), (address, size, family),
               resolver)

// kill and what it reaches: the own process is known by the id that the run has given it.
namespace rig::lab {
namespace {
RIG_LAB_REAL(kill);
}
}  // namespace rig::lab

RIG_LAB_EXPORT int kill(pid_t process, int signal) noexcept {
  return real_kill(process == getpid() ? kernel_process() : process, signal);
}
