// The files that carry events and bytes within a process: eventfd, timerfd, pipe, socketpair.
#pragma once

#include <time.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "harness/lab/kernel/file.h"
#include "harness/lab/kernel/stream.h"

namespace rig::lab {

// EventFile is what eventfd makes.
class EventFile final : public File {
 public:
  EventFile(std::uint64_t count, bool semaphore) : File("eventfd"), count_(count), semaphore_(semaphore) {}
  std::uint32_t ready() override;
  Answer read(const Transfer& transfer) override;
  Answer write(const Transfer& transfer) override;
  Place place() const override;

 private:
  std::uint64_t count_;
  bool semaphore_;
};

// TimerFile is what timerfd_create makes; every clock is the run's.
class TimerFile final : public File {
 public:
  TimerFile();
  std::uint32_t ready() override;
  Answer read(const Transfer& transfer) override;
  Place place() const override;
  std::int64_t next_due_ns() override;
  Answer set(int flags, const itimerspec& value, itimerspec* old);
  itimerspec get();
  // tick counts the expirations since the last one.
  void tick();
  void released() override;

 private:
  std::int64_t due_ns_;  // never: disarmed
  std::int64_t interval_ns_ = 0;
  std::uint64_t expirations_ = 0;
  bool armed_ = false;
};

// Pipe is what its two ends share.
struct Pipe {
  ByteQueue bytes;
  std::size_t room = 65536;
  class PipeEnd* reader = nullptr;
  class PipeEnd* writer = nullptr;
};

// PipeEnd is one end of a pipe.
class PipeEnd final : public File {
 public:
  PipeEnd(std::shared_ptr<Pipe> pipe, bool writes);
  std::uint32_t ready() override;
  Answer read(const Transfer& transfer) override;
  Answer write(const Transfer& transfer) override;
  Answer control(unsigned long request, void* argument) override;
  Answer command(int request, long argument) override;
  void released() override;

 private:
  std::shared_ptr<Pipe> pipe_;
  bool writes_;
};

// LocalSocket is one end of socketpair(AF_UNIX, SOCK_STREAM).
class LocalSocket final : public File {
 public:
  LocalSocket() : File("local socket") {}
  static void join(LocalSocket& one, LocalSocket& other);
  std::uint32_t ready() override;
  Answer read(const Transfer& transfer) override;
  Answer write(const Transfer& transfer) override;
  Answer control(unsigned long request, void* argument) override;
  void released() override;
  Answer shutdown(int how);
  Answer get_option(int level, int name, void* value, socklen_t* bytes);
  Answer set_option(int level, int name, const void* value, socklen_t bytes);

 private:
  bool is_writable() const;
  LocalSocket* peer_ = nullptr;
  ByteQueue received_;
  int send_buffer_ = 212992;
  int recv_buffer_ = 212992;
  int error_ = 0;
  unsigned shut_ = 0;
};

}  // namespace rig::lab
