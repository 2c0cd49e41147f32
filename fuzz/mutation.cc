#include "fuzz/mutation.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <vector>

#include "fuzz/fitted.h"
#include "harness/scenario/text_grammar.h"

namespace rig {
namespace {

constexpr std::uint64_t lab_threads = 8;
constexpr std::uint64_t lab_steps = 400;
// Around records, buffers and 16 bits, and nothing at all.
constexpr std::array<std::uint64_t, 13> telling_sizes{0,    1,     2,     100,   1000,  4095, 4096,
                                                      4097, 16383, 16384, 16385, 32768, 65537};
constexpr std::array<std::int64_t, 10> telling_errnos{EPIPE,     ECONNRESET, ENOBUFS, EINVAL, EBADF,
                                                      ETIMEDOUT, ENOTCONN,   EMFILE,  EIO,    ECONNABORTED};

template <class Item>
const Item& one_of(std::span<const Item> items, Prng& prng) {
  return items[prng.below(items.size())];
}

template <class Enum>
Enum any(Prng& prng) {
  return one_of(words<Enum>(), prng).value;
}

bool coin(Prng& prng, std::uint64_t of = 2) {
  return prng.below(of) == 0;
}

std::optional<std::uint32_t> any_connection(Prng& prng) {
  return coin(prng) ? std::nullopt : std::optional(static_cast<std::uint32_t>(prng.below(FuzzLimits::connections)));
}

std::uint64_t any_size(Prng& prng) {
  return one_of(std::span<const std::uint64_t>(telling_sizes), prng);
}

// Where any thread may go on at every point, a run takes four times as long.
lab::PolicyKind any_policy(Prng& prng) {
  constexpr std::array<lab::PolicyKind, 4> quick{lab::PolicyKind::none, lab::PolicyKind::sticky1,
                                                 lab::PolicyKind::sticky10, lab::PolicyKind::pct};
  return coin(prng, 16) ? lab::PolicyKind::uniform : one_of(std::span<const lab::PolicyKind>(quick), prng);
}

Verb any_verb(Prng& prng, bool VerbForm::* where) {
  Verb verb = any<Verb>(prng);
  while (!(form_of(verb).*where)) {
    verb = any<Verb>(prng);
  }
  return verb;
}

Step any_step(Prng& prng) {
  Step step;
  // Sending and waiting are what the others need around them.
  switch (prng.below(4)) {
    case 0:
      step.verb = Verb::send;
      step.count = prng.between(1, 8);
      step.size_max = any_size(prng);
      step.size_min = coin(prng) ? step.size_max : 0;
      step.more = coin(prng, 8);
      break;
    case 1:
      step.verb = Verb::await;
      step.condition = any<Condition>(prng);
      step.count = coin(prng, 4) ? prng.between(1, 4) : 0;
      break;
    default:
      step.verb = any_verb(prng, &VerbForm::in_steps);
      step.count = prng.between(1, 4);
      step.size_max = any_size(prng);
  }
  return step;
}

Reaction any_reaction(Prng& prng) {
  return {.side = any<Side>(prng),
          .connection = any_connection(prng),
          .event = any<Event>(prng),
          .nth = static_cast<std::uint32_t>(prng.below(4)),
          .verb = any_verb(prng, &VerbForm::in_reactions)};
}

Thread any_thread(Prng& prng) {
  Thread thread{.side = any<Side>(prng),
                .connection = any_connection(prng),
                .where = any<Where>(prng),
                .copies = static_cast<std::uint32_t>(coin(prng, 4) ? 2 : 1),
                .steps = {}};
  for (std::uint64_t steps = prng.between(1, 4); steps > 0; --steps) {
    thread.steps.push_back(any_step(prng));
  }
  return thread;
}

lab::Fault any_fault(Prng& prng) {
  using lab::Op;
  constexpr std::array<Op, 7> streams{Op::send, Op::recv, Op::connect, Op::accept, Op::read, Op::write, Op::setsockopt};
  lab::Fault fault;
  fault.kind = any<lab::FaultKind>(prng);
  fault.connection = any_connection(prng);
  fault.side = any<lab::FaultSide>(prng);
  fault.op = one_of(std::span<const Op>(streams), prng);
  fault.nth = prng.between(1, 12);
  fault.offset = coin(prng) ? 0 : prng.below(4096);
  fault.amount = static_cast<std::int64_t>(coin(prng) ? prng.below(64) : prng.below(8192));
  if (fault.kind == lab::FaultKind::error || fault.kind == lab::FaultKind::option ||
      fault.kind == lab::FaultKind::errno_noise) {
    fault.amount = one_of(std::span<const std::int64_t>(telling_errnos), prng);
  }
  return fault;
}

lab::Switch any_switch(Prng& prng) {
  return {.thread = static_cast<lab::ThreadId>(prng.below(lab_threads)),
          .step = prng.below(lab_steps),
          .next = static_cast<lab::ThreadId>(prng.below(lab_threads))};
}

// change_list puts one in, takes one out, or makes two change places.
template <class Item, class Make>
void change_list(std::vector<Item>& list, Make make, Prng& prng) {
  const auto place = [&](std::size_t room) { return list.begin() + static_cast<std::ptrdiff_t>(prng.below(room)); };
  switch (list.empty() ? 0 : prng.below(4)) {
    case 0:
      list.insert(place(list.size() + 1), make(prng));
      break;
    case 1:
      list.erase(place(list.size()));
      break;
    case 2:
      *place(list.size()) = make(prng);
      break;
    default:
      std::iter_swap(place(list.size()), place(list.size()));
  }
}

void change_thread(Scenario& scenario, Prng& prng) {
  if (scenario.threads.empty() || coin(prng, 4)) {
    change_list(scenario.threads, any_thread, prng);
    return;
  }
  Thread& thread = scenario.threads[prng.below(scenario.threads.size())];
  switch (prng.below(8)) {
    case 0:
      thread.where = any<Where>(prng);
      break;
    case 1:
      thread.copies = static_cast<std::uint32_t>(prng.between(1, FuzzLimits::copies));
      break;
    case 2:
      thread.side = any<Side>(prng);
      break;
    default:
      change_list(thread.steps, any_step, prng);
  }
}

void change_cell(Cell& cell, Prng& prng) {
  switch (prng.below(6)) {
    case 0:
      cell.tls = any<TlsChoice>(prng);
      break;
    case 1:
      cell.poller = any<PollerChoice>(prng);
      break;
    case 2:
      cell.nodelay_client = !cell.nodelay_client;
      break;
    case 3:
      cell.nodelay_server = !cell.nodelay_server;
      break;
    case 4:
      // A handshake with certificates takes as long as ten with a key.
      cell.auth = coin(prng, 8) ? Auth::certificate : Auth::psk;
      break;
    default:
      cell.fast_track = !cell.fast_track;
  }
}

void change_settings(Settings& settings, Prng& prng) {
  switch (prng.below(13)) {
    case 0:
      settings.connections = static_cast<std::uint32_t>(prng.between(1, FuzzLimits::connections));
      break;
    case 1:
      settings.loop_per_client = !settings.loop_per_client;
      break;
    case 2:
      settings.one_loop = !settings.one_loop;
      break;
    case 3:
      settings.relay = !settings.relay;
      break;
    case 4:
      settings.peer = coin(prng) ? Peer::subject : any<Peer>(prng);
      break;
    case 5:
      settings.renegotiation = !settings.renegotiation;
      break;
    case 6:
      settings.queue_ops = static_cast<std::uint32_t>(prng.below(4));
      break;
    case 7:
      settings.queue_bytes = any_size(prng);
      break;
    case 8:
      settings.kernel_send_bytes = any_size(prng);
      break;
    case 9:
      settings.kernel_recv_bytes = any_size(prng);
      break;
    case 10:
      settings.close_timeout_us = coin(prng) ? 0 : prng.below(FuzzLimits::timeout_us_max);
      break;
    case 11:
      settings.strangers = !settings.strangers;
      break;
    default:
      settings.handshake_timeout_us = coin(prng) ? 0 : prng.below(FuzzLimits::timeout_us_max);
  }
}

void change_schedule(Scenario& scenario, Prng& prng) {
  LabPart& lab = scenario.lab;
  switch (prng.below(4)) {
    case 0:
      scenario.seed = prng.below(1'000'000);
      break;
    case 1:
      lab.policy = any_policy(prng);
      break;
    case 2:
      lab.profile = any<lab::Profile>(prng);
      break;
    default:
      lab.policy = lab::PolicyKind::none;
      change_list(lab.switches, any_switch, prng);
  }
}

template <class Item>
void take_some(std::vector<Item>& list, const std::vector<Item>& other, Prng& prng) {
  for (const Item& item : other) {
    if (coin(prng)) {
      list.insert(list.begin() + static_cast<std::ptrdiff_t>(prng.below(list.size() + 1)), item);
    }
  }
}

}  // namespace

void mutate(Scenario& scenario, Prng& prng) {
  for (std::uint64_t changes = prng.between(1, 4); changes > 0; --changes) {
    switch (prng.below(12)) {
      case 0:
        change_cell(scenario.cell, prng);
        break;
      case 1:
        change_settings(scenario.settings, prng);
        break;
      case 2:
      case 3:
        change_list(scenario.reactions, any_reaction, prng);
        break;
      case 4:
      case 5:
        change_list(scenario.lab.faults, any_fault, prng);
        break;
      case 6:
      case 7:
        change_schedule(scenario, prng);
        break;
      default:
        change_thread(scenario, prng);
    }
  }
}

Scenario crossed(Scenario one, const Scenario& other, Prng& prng) {
  switch (prng.below(4)) {
    case 0:
      one.settings = other.settings;
      take_some(one.threads, other.threads, prng);
      break;
    case 1:
      take_some(one.reactions, other.reactions, prng);
      break;
    case 2:
      take_some(one.lab.faults, other.lab.faults, prng);
      break;
    default:
      one.seed = other.seed;
      one.lab = other.lab;
  }
  return one;
}

}  // namespace rig
