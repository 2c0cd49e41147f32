// Kernel: the state of the virtual kernel in one run. Internal to this folder.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <unordered_set>
#include <vector>

#include "harness/lab/kernel/faults.h"
#include "harness/lab/kernel/file.h"
#include "harness/lab/lab.h"
#include "harness/lab/scheduler.h"

namespace rig::lab {

class TcpSocket;
class TimerFile;
struct Wire;

// Syn is a connect that the listener has not seen, or has not had room for.
struct Syn {
  TcpSocket* socket;
  std::int64_t due_ns;
  int tries;
};

// Kernel is that state. Thread: the one that has the token.
struct Kernel {
  explicit Kernel(const Options& options);
  ~Kernel();

  // wait blocks until `file` is woken, something is due, or the deadline has come; false: it had come before. The
  // caller tries again either way.
  bool wait(Op op, File& file, std::int64_t deadline_ns);
  // wait_any is the same for several files.
  bool wait_any(Op op, std::span<File* const> files, std::int64_t deadline_ns);
  // advance delivers what is due.
  void advance();
  // due_at says that the network has something to do then; threads that wait learn of it.
  void due_at(std::int64_t when_ns);
  // latency draws how long a segment is under way. Units: nanoseconds.
  std::int64_t latency_ns();

  std::uint64_t run = 0;  // run_number() of the run that it belongs to
  Profile profile;
  Descriptors descriptors;
  Faults faults;
  std::unordered_set<File*> files;
  std::uint32_t files_made = 0;
  std::vector<TimerFile*> timers;

  // The network.
  std::vector<TcpSocket*> sockets;  // in the order of creation
  std::vector<std::shared_ptr<Wire>> wires;
  std::vector<Syn> syns;
  std::map<std::uint16_t, std::uint32_t> connections;  // by the listener's port
  ResetObserver* observer = nullptr;
  std::uint32_t wires_made = 0;
  std::uint16_t next_port;
  std::int64_t next_due_ns = never;
  std::uint64_t late_one_in = 0;  // 0: every segment arrives at once
};

// kernel is the one of the present run.
Kernel& kernel();

// deadline_after is the moment so many nanoseconds from now; negative: never.
std::int64_t deadline_after(std::int64_t span_ns);

}  // namespace rig::lab
