// Script: the steps of one thread of a scenario, done one after the other as far as the situation allows.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "harness/base/prng.h"
#include "harness/scenario/end.h"
#include "harness/scenario/loop_host.h"
#include "harness/scenario/scenario.h"
#include "harness/scenario/wire_peers.h"

namespace rig {

// ScriptWorld is what a Script needs of its run.
class ScriptWorld {
 public:
  virtual ~ScriptWorld() = default;
  // connect opens the connection of `end`; on its loop's thread.
  virtual void connect(End& end) = 0;
  // peer_of is the other side of the connection, or null if the peer is no subject.
  virtual End* peer_of(const End& end) const = 0;
  virtual Relay* relay_of(const End& end) = 0;
  // arrive joins the threads that align under `label`; aligned says that all have come.
  virtual void arrive(std::uint64_t label) = 0;
  virtual bool aligned(std::uint64_t label) = 0;
  virtual Signal& signal() = 0;
};

// Script runs on one thread: its own, or that of a loop, between turns. A step whose connection has ended so that it
// can never be done ends the script: what came of the connection is judged by expectations, not by steps.
class Script final : public LoopWork {
 public:
  Script(ScriptWorld& world, End& end, const Thread& thread, std::string name, Prng prng);

  Progress advance() override;

  // main advances until it is done, waiting in between; for a thread of its own.
  void main();

  bool done() const { return done_.load(); }
  const Thread& thread() const { return thread_; }
  // where says for a stall report which step waits for what.
  std::string where() const;

 private:
  enum class Try : std::uint8_t { done, blocked, never };

  Try try_step(const Step& step);
  Try try_socket();
  Try try_await(const Step& step);
  Try try_send(const Step& step);
  Try try_align(const Step& step);
  std::uint64_t draw_size(const Step& step);
  bool holds(const Step& step);
  void give_up();

  ScriptWorld& world_;
  End& end_;
  const Thread& thread_;
  const std::string name_;
  Prng prng_;
  std::atomic<std::size_t> step_{0};
  std::atomic<bool> done_{false};
  std::uint64_t sent_in_step_ = 0;
  bool arrived_in_step_ = false;
  std::uint64_t size_drawn_ = 0;
  bool size_is_drawn_ = false;
  std::uint64_t full_at_ = ~std::uint64_t{0};  // End::writable_events() when a send was refused
};

}  // namespace rig
