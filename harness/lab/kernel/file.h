// File: what virtual descriptors refer to, and the table of descriptors.
//
// Within this folder functions answer as the kernel's own do: 0 or more, or minus an errno. Nothing here is locked:
// only the thread with the token is inside, and it leaves the middle of a call only in Kernel::wait.
#pragma once

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "harness/lab/kernel/faults.h"
#include "harness/lab/op.h"

namespace rig::lab {

struct EpollItem;
class TcpSocket;

// Answer is 0 or more, or minus an errno.
using Answer = std::int64_t;

// The masks of readiness, as the kernel's wake-ups and answers have them.
inline constexpr std::uint32_t ready_in = EPOLLIN | EPOLLRDNORM;
inline constexpr std::uint32_t ready_out = EPOLLOUT | EPOLLWRNORM;
inline constexpr std::uint32_t ready_all = ~std::uint32_t{0};

// Transfer is one call that moves bytes: the caller's buffers and how it wants them moved.
struct Transfer {
  Op op;
  std::span<const iovec> pieces;
  std::size_t bytes;  // of all pieces
  int flags;          // MSG_*
  bool waits;         // blocking descriptor, and not MSG_DONTWAIT
  Struck& struck;
};

// File is an open file description: descriptors and calls that are under way refer to it, epolls watch it.
class File {
 public:
  explicit File(const char* kind);
  virtual ~File() = default;
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  // ready answers what poll would. It may note that the caller waits for room (Linux's SOCK_NOSPACE).
  virtual std::uint32_t ready() = 0;
  virtual Answer read(const Transfer& transfer);
  virtual Answer write(const Transfer& transfer);
  // control is ioctl, except for what all files have; command is fcntl's, likewise.
  virtual Answer control(unsigned long request, void* argument);
  virtual Answer command(int request, long argument);
  // next_due_ns is when the file becomes ready by itself; never: it does not.
  virtual std::int64_t next_due_ns();
  // released is called when the last reference goes, before the destructor.
  virtual void released() {}
  virtual TcpSocket* tcp() { return nullptr; }
  // place is which end of which connection it is, for faults.
  virtual Place place() const { return {}; }
  virtual std::string describe() const;

  bool is_nonblocking() const { return (status & O_NONBLOCK) != 0; }
  // wake lets the threads and epolls that wait for one of `events` look again.
  void wake(std::uint32_t events);
  // raise_edges is for a fault that let a call find less than there is: to who waits for edges the rest is new. Who
  // waits for levels sees it anyway.
  void raise_edges();

  const char* const kind;
  const std::uint32_t id;  // of the run, from 1
  int status = 0;          // O_NONBLOCK and O_APPEND, as F_GETFL has them
  int access = 2;          // O_RDONLY, O_WRONLY, O_RDWR
  std::uint32_t references = 0;
  std::vector<EpollItem*> watchers;
};

// unreference gives up one reference; the last one ends the file.
void unreference(File& file);

// Pin keeps a file alive during a call, as the kernel does: a close by another thread ends it afterwards.
class Pin {
 public:
  explicit Pin(File& file) : file_(&file) { ++file.references; }
  ~Pin() { unreference(*file_); }
  Pin(const Pin&) = delete;
  Pin& operator=(const Pin&) = delete;

 private:
  File* file_;
};

// Descriptors is the table of virtual descriptors.
class Descriptors {
 public:
  explicit Descriptors(int first) : first_(first) {}

  // find answers the file, or null. was_virtual says that a number has meant a virtual file in this run: it must never
  // reach the system.
  File* find(int descriptor) const;
  bool was_virtual(int descriptor) const;
  // add gives the lowest free number from `least` on; add_at takes that number, which must be free.
  int add(File& file, bool close_on_exec, int least = 0);
  void add_at(int descriptor, File& file, bool close_on_exec);
  // remove answers 0 or -EBADF.
  Answer remove(int descriptor);
  bool close_on_exec(int descriptor) const;
  void set_close_on_exec(int descriptor, bool on);
  std::size_t open() const { return open_; }
  int first() const { return first_; }

 private:
  struct Slot {
    File* file = nullptr;
    bool close_on_exec = false;
  };
  Slot* slot(int descriptor);
  const Slot* slot(int descriptor) const;

  int first_;
  std::vector<Slot> slots_;
  std::size_t open_ = 0;
};

}  // namespace rig::lab
