#include "harness/scenario/script.h"

#include <algorithm>
#include <array>
#include <thread>
#include <utility>

#include "harness/lab/lab.h"

namespace rig {
namespace {

constexpr std::uint64_t not_full = ~std::uint64_t{0};
// Bugs live at these sizes: nothing, one byte, around a record, around 16 bits.
constexpr std::array<std::uint64_t, 8> telling_sizes{0, 1, 16383, 16384, 16385, 65535, 65536, 65537};

bool is_rekey(Verb verb) {
  return verb == Verb::renegotiate || verb == Verb::update_keys;
}

}  // namespace

Script::Script(ScriptWorld& world, End& end, const Thread& thread, std::string name, Prng prng)
    : world_(world), end_(end), thread_(thread), name_(std::move(name)), prng_(prng) {}

LoopWork::Progress Script::advance() {
  bool moved = false;
  while (step_.load() < thread_.steps.size()) {
    if (world_.signal().stopped()) {
      break;
    }
    const Try result = try_step(thread_.steps[step_]);
    if (result == Try::blocked) {
      return moved ? Progress::moved : Progress::blocked;
    }
    if (result == Try::never) {
      give_up();
      break;
    }
    moved = true;
    sent_in_step_ = 0;
    arrived_in_step_ = false;
    full_at_ = not_full;
    ++step_;
  }
  done_ = true;
  world_.signal().changed();
  return Progress::done;
}

void Script::main() {
  for (;;) {
    const std::uint64_t seen = world_.signal().events();
    const Progress progress = advance();
    if (progress == Progress::done) {
      return;
    }
    if (progress == Progress::blocked) {
      world_.signal().wait_beyond(seen, std::chrono::milliseconds(100));
    }
  }
}

// A server's end has no socket before its connection was accepted. That may come long after its client has gone, but
// where memory fails it may never come.
Script::Try Script::try_socket() {
  if (end_.has_socket() || end_.closed()) {
    return Try::done;
  }
  const End* const peer = world_.peer_of(end_);
  return end_.plan().memory_may_fail && peer != nullptr && peer->closed() ? Try::never : Try::blocked;
}

// The threads that align with one that has given up must not wait for it.
void Script::give_up() {
  for (std::size_t i = step_.load(); i < thread_.steps.size(); ++i) {
    if (const Step& step = thread_.steps[i]; step.verb == Verb::align && !std::exchange(arrived_in_step_, false)) {
      world_.arrive(step.count);
    }
  }
}

Script::Try Script::try_step(const Step& step) {
  switch (step.verb) {
    case Verb::connect:
      world_.connect(end_);
      return Try::done;
    case Verb::send:
      return try_send(step);
    case Verb::await:
      return try_await(step);
    case Verb::align:
      return try_align(step);
    case Verb::relay_stall:
    case Verb::relay_flow:
    case Verb::relay_reset:
    case Verb::relay_fin:
      if (Relay* relay = world_.relay_of(end_)) {
        relay->order(step.verb == Verb::relay_stall  ? RelayOrder::stall
                     : step.verb == Verb::relay_flow ? RelayOrder::flow
                     : step.verb == Verb::relay_fin  ? RelayOrder::fin
                                                     : RelayOrder::reset);
      }
      return Try::done;
    default:
      if (const Try socket = try_socket(); socket != Try::done) {
        return socket;
      }
      if (End* const peer = world_.peer_of(end_); peer != nullptr && is_rekey(step.verb)) {
        peer->note_peer_rekey();
      }
      end_.perform(step.verb);
      return Try::done;
  }
}

bool Script::holds(const Step& step) {
  End* const peer = world_.peer_of(end_);
  switch (step.condition) {
    case Condition::connected:
      return end_.connected();
    case Condition::established:
      return peer != nullptr && peer->connected();
    case Condition::sent: {
      const OpLedger::Totals totals = end_.ledger().totals();
      return totals.completed_at_once + totals.callbacks >=
             (step.count != 0 ? step.count : totals.issued - totals.refused);
    }
    case Condition::received: {
      if (step.count != 0 || peer == nullptr) {
        return end_.incoming().received_bytes() >= step.count;
      }
      const std::uint64_t due = peer->echoes() ? end_.outgoing().accepted_bytes() : peer->outgoing().accepted_bytes();
      return end_.incoming().received_bytes() >= due;
    }
    case Condition::pending: {
      const std::uint64_t pending = end_.ledger().pending();
      end_.note_pending(pending);
      return pending >= std::max<std::uint64_t>(1, step.count);
    }
    case Condition::handshakes:
      end_.look();
      return end_.last_look().handshakes >= step.count;
    case Condition::key_updates:
      end_.look();
      return end_.last_look().key_updates_out >= step.count && end_.last_look().key_updates_in >= step.count;
    case Condition::ended:
      return end_.ended();
    case Condition::closed:
      return end_.closed();
    case Condition::peer_closed:
      return peer == nullptr || peer->closed();
  }
  return true;
}

Script::Try Script::try_await(const Step& step) {
  const bool end_is_over = end_.closed();
  const End* const peer = world_.peer_of(end_);
  const bool peer_is_over = peer != nullptr && peer->closed();
  if (holds(step)) {
    return Try::done;
  }
  const bool peer_never_came = peer != nullptr && !peer->has_socket() && end_is_over;
  if ((end_.plan().memory_may_fail && peer_never_came) || try_socket() == Try::never) {
    return Try::never;
  }
  if (step.condition == Condition::peer_closed) {
    return Try::blocked;
  }
  if (step.condition == Condition::established ? peer_is_over : end_is_over) {
    return Try::never;
  }
  return Try::blocked;
}

std::uint64_t Script::draw_size(const Step& step) {
  if (step.size_min == step.size_max) {
    return step.size_min;
  }
  // One in four is a telling size; the others are spread over the orders of magnitude.
  if (prng_.below(4) == 0) {
    const std::uint64_t telling = telling_sizes[prng_.below(telling_sizes.size())];
    return std::clamp(telling, step.size_min, step.size_max);
  }
  const std::uint64_t limit = step.size_min + ((step.size_max - step.size_min) >> prng_.below(8));
  return prng_.between(step.size_min, limit);
}

Script::Try Script::try_send(const Step& step) {
  if (const Try socket = try_socket(); socket != Try::done) {
    return socket;
  }
  while (sent_in_step_ < step.count) {
    const std::uint64_t writable_events = end_.writable_events();
    if (full_at_ == writable_events && !end_.closed()) {
      return Try::blocked;
    }
    full_at_ = not_full;
    if (!std::exchange(size_is_drawn_, true)) {
      size_drawn_ = draw_size(step);
    }
    const bool more = step.more && sent_in_step_ + 1 < step.count;
    const End::SendAnswer answer = end_.send(size_drawn_, more);
    if (answer == End::SendAnswer::gone) {
      return Try::never;
    }
    if (answer == End::SendAnswer::full) {
      full_at_ = writable_events;
      continue;
    }
    size_is_drawn_ = false;
    ++sent_in_step_;
    if (world_.signal().stopped()) {
      return Try::never;
    }
  }
  return Try::done;
}

Script::Try Script::try_align(const Step& step) {
  if (!std::exchange(arrived_in_step_, true)) {
    world_.arrive(step.count);
  }
  // Spinning, so that all start within nanoseconds of each other. A loop's thread must go on turning instead, and in
  // the lab, where one thread runs at a time and the seed says who is next, turns of the others would be all that is
  // spent.
  while (!world_.aligned(step.count)) {
    if (thread_.where == Where::loop || lab::running()) {
      return Try::blocked;
    }
    if (world_.signal().stopped()) {
      return Try::never;
    }
    std::this_thread::yield();
  }
  return Try::done;
}

std::string Script::where() const {
  const std::size_t at = step_.load();
  if (done_.load() || at >= thread_.steps.size()) {
    return name_ + " is done";
  }
  const Step& step = thread_.steps[at];
  std::string text = name_ + " is at step " + std::to_string(at + 1) + ", " + std::string(word(step.verb));
  if (step.verb == Verb::await) {
    text += " " + std::string(word(step.condition));
  }
  return text;
}

}  // namespace rig
