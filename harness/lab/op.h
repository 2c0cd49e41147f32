// Op: what a thread was about to do at a point of a lab run. The words of traces, reports and switch lists.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace rig::lab {

// RIG_LAB_OPS lists every op: the name is the word in files.
// clang-format off
#define RIG_LAB_OPS(X)                                                                                             \
  X(begin) X(end) X(work)                                                                                          \
  X(mutex_lock) X(mutex_trylock) X(mutex_unlock)                                                                   \
  X(rwlock_read) X(rwlock_write) X(rwlock_unlock)                                                                  \
  X(cond_wait) X(cond_signal) X(cond_broadcast)                                                                    \
  X(once) X(static_guard) X(barrier) X(spin_lock) X(spin_unlock) X(sem_wait) X(sem_post)                           \
  X(futex_wait) X(futex_wake)                                                                                      \
  X(thread_create) X(thread_join) X(thread_exit)                                                                   \
  X(sleep) X(yield) X(clock) X(entropy) X(memory) X(allocate)                                                      \
  X(socket) X(bind) X(listen) X(accept) X(connect) X(send) X(recv) X(shutdown) X(close) X(read) X(write)           \
  X(dup) X(fcntl) X(ioctl) X(getsockopt) X(setsockopt) X(name) X(pipe) X(socketpair) X(eventfd) X(timerfd)         \
  X(poll) X(select) X(epoll_create) X(epoll_ctl) X(epoll_wait)                                                     \
  X(deliver) X(fault) X(note)
// clang-format on

// Op is an entry of that list.
enum class Op : std::uint8_t {
#define RIG_LAB_OP(name) name,
  RIG_LAB_OPS(RIG_LAB_OP)
#undef RIG_LAB_OP
};

// word is the op's name in files; op_from_word is its inverse.
std::string_view word(Op op);
std::optional<Op> op_from_word(std::string_view text);

}  // namespace rig::lab
