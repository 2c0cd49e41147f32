#include "harness/lab/kernel/faults.h"

#include <algorithm>
#include <cerrno>

#include "harness/lab/allocation.h"
#include "harness/lab/scheduler.h"
#include "harness/lab/state.h"

namespace rig::lab {
namespace {

bool is_of_stream(FaultKind kind) {
  return kind == FaultKind::reset || kind == FaultKind::delay || kind == FaultKind::split ||
         kind == FaultKind::coalesce;
}

bool is_stop(FaultKind kind) {
  return kind == FaultKind::stop || kind == FaultKind::block;
}

bool is_receive(Op op) {
  return op == Op::recv || op == Op::read;
}

bool is_send(Op op) {
  return op == Op::send || op == Op::write;
}

bool is_poll(Op op) {
  return op == Op::poll || op == Op::select || op == Op::epoll_wait;
}

}  // namespace

bool lies_at(const Fault& fault, const Place& place) {
  return (!fault.connection || fault.connection == place.connection) &&
         (fault.side == FaultSide::any || fault.side == place.side);
}

Faults::Faults(const Options& options)
    : random_(options.random_faults), spares_rig_(options.random_faults_spare_rig), profile_(options.profile) {
  for (const Fault& fault : options.faults) {
    if (fault.kind == FaultKind::no_memory) {
      continue;
    }
    (is_of_stream(fault.kind) ? streams_ : is_stop(fault.kind) ? stops_ : calls_).push_back({.fault = fault});
  }
  constexpr std::uint64_t rates[] = {256, 64, 64, 16};
  one_in_ = rates[mix64(options.seed ^ 0x6661756c74) % 4];
}

bool Faults::strikes(Item& item, Op op, std::span<const Place> places) {
  const Fault& fault = item.fault;
  const bool anywhere = !fault.connection && fault.side == FaultSide::any;
  if (fault.op != op ||
      (!anywhere && std::ranges::none_of(places, [&](const Place& place) { return lies_at(fault, place); }))) {
    return false;
  }
  ++item.seen;
  return item.seen == item.fault.nth || (item.fault.sticky && item.seen > item.fault.nth);
}

void Faults::apply(const Fault& fault, const Place& here, Struck& struck) {
  const auto amount = std::max<std::int64_t>(fault.amount, 1);
  switch (fault.kind) {
    case FaultKind::short_write:
    case FaultKind::short_read:
      struck.bytes_max = static_cast<std::size_t>(amount);
      break;
    case FaultKind::would_block:
      if (!here.may_block) {
        return;  // no system answers EAGAIN there
      }
      struck.error = EAGAIN;
      break;
    case FaultKind::interrupted:
      if (fault.op == Op::connect) {
        struck.chance = fault;  // when the connect is under way: it goes on by itself
        return;
      }
      struck.error = EINTR;
      break;
    case FaultKind::error:
      if (!here.may_fail) {
        return;
      }
      struck.error = static_cast<int>(amount);
      break;
    case FaultKind::option:
      struck.error = static_cast<int>(amount);
      break;
    case FaultKind::sync_connect:
      struck.sync_connect = true;
      break;
    case FaultKind::errno_noise:
      struck.noise = static_cast<int>(amount);
      break;
    case FaultKind::spurious:
      struck.spurious = fault;
      break;
    default:
      return;
  }
  current()->inject(fault);
}

Struck Faults::at_call(Op op, std::span<const Place> places, bool waits) {
  Struck struck;
  Place place = places.size() == 1 ? places.front() : Place{};
  place.may_block = place.may_block && !waits;
  for (Item& item : calls_) {
    if (strikes(item, op, places)) {
      apply(item.fault, place, struck);
    }
  }
  if (random_) {
    const std::uint64_t of_all = ++counts_[{0, FaultSide::any, op}];
    const std::uint64_t here = place.connection ? ++counts_[{*place.connection + 1, place.side, op}] : of_all;
    const bool spared = spares_rig_ && acting() == Party::rig;
    if (!spared && stream(Stream::fault).below(one_in_) == 0 && !struck.chance) {
      struck.chance = choose(op, place, here, waits);
      if (struck.chance) {
        // These need nothing of the call to be possible.
        const FaultKind kind = struck.chance->kind;
        if (kind == FaultKind::would_block || kind == FaultKind::errno_noise || kind == FaultKind::sync_connect ||
            kind == FaultKind::spurious || (kind == FaultKind::interrupted && !waits)) {
          apply(*struck.chance, place, struck);
          struck.chance.reset();
        }
      }
    }
  }
  return struck;
}

// choose draws a fault that the profile allows for such a call. Errors and resets are never drawn: a correct program
// may fail by them.
std::optional<Fault> Faults::choose(Op op, const Place& place, std::uint64_t nth, bool waits) {
  Prng& random = stream(Stream::fault);
  std::vector<FaultKind> kinds;
  if (is_send(op)) {
    kinds.push_back(FaultKind::short_write);
  }
  if (is_receive(op)) {
    kinds.push_back(FaultKind::short_read);
  }
  const bool moves = is_send(op) || is_receive(op) || op == Op::accept;
  if (waits && (moves || is_poll(op) || op == Op::connect)) {
    kinds.push_back(FaultKind::interrupted);
  }
  if (profile_ == Profile::adversarial) {
    kinds.push_back(FaultKind::errno_noise);
    if (moves && place.may_block) {
      kinds.push_back(FaultKind::would_block);
    }
    if (moves && !waits && place.may_block) {
      kinds.push_back(FaultKind::interrupted);  // Linux interrupts only who waits; others also who does not
    }
    if (!waits && op == Op::connect) {
      kinds.push_back(FaultKind::sync_connect);
    }
    if (is_poll(op)) {
      kinds.push_back(FaultKind::spurious);
    }
  }
  if (kinds.empty()) {
    return std::nullopt;
  }
  Fault fault;
  fault.kind = kinds[random.below(kinds.size())];
  fault.op = op;
  fault.nth = nth;
  if (place.connection) {
    fault.connection = place.connection;
    fault.side = place.side;
  }
  if (fault.kind == FaultKind::errno_noise) {
    constexpr int noises[] = {EAGAIN, EINTR, EINVAL, ENOENT, ENOTTY, EPIPE, ECONNRESET};
    fault.amount = noises[random.below(std::size(noises))];
  }
  return fault;
}

bool Faults::has_chance(const Struck& struck, FaultKind kind) {
  return struck.chance && struck.chance->kind == kind;
}

std::size_t Faults::draw_cut(std::size_t bytes) {
  Prng& random = stream(Stream::fault);
  switch (random.below(8)) {
    case 0:
      return 1;
    case 1:
      return bytes - 1;
    default:
      return 1 + static_cast<std::size_t>(random.below(bytes - 1));
  }
}

void Faults::take(Struck& struck, std::int64_t amount) {
  Fault fault = *struck.chance;
  fault.amount = amount;
  struck.chance.reset();
  current()->inject(fault);
}

bool Faults::interrupts(Struck& struck) {
  const bool now = has_chance(struck, FaultKind::interrupted);
  if (now) {
    take(struck, 0);
  }
  struck.chance.reset();  // behind its first wait, a call is not what it was when the chance was drawn
  return now;
}

Faults::Stop Faults::stop_at(const Place& sender, bool sends, std::uint64_t at, std::size_t bytes, bool waits) {
  Stop stop;
  Item* nearest = nullptr;
  for (Item& item : stops_) {
    const auto byte = static_cast<std::uint64_t>(item.fault.amount);
    if (byte < at || byte - at >= stop.bytes_max || item.struck_by[sends ? 1 : 0] || !lies_at(item.fault, sender)) {
      continue;
    }
    const bool here = byte == at;
    if (!here || (item.fault.kind == FaultKind::block && !waits)) {
      stop = {.bytes_max = static_cast<std::size_t>(byte - at), .blocks = here};
      nearest = &item;
    }
  }
  // A stop has struck when a call has ended there that would have gone on; a block when it has answered.
  const bool strikes = nearest != nullptr && (stop.blocks || stop.bytes_max < bytes);
  if (strikes) {
    if (!nearest->spent) {
      current()->inject(nearest->fault);
    }
    nearest->spent = true;
    nearest->struck_by[sends ? 1 : 0] = stop.blocks || nearest->fault.kind == FaultKind::stop;
  }
  return stop;
}

std::vector<Fault> Faults::strike_stream(const Place& sender, std::uint64_t begin, std::uint64_t end) {
  std::vector<Fault> struck;
  for (Item& item : streams_) {
    const Fault& fault = item.fault;
    if (item.spent || !lies_at(fault, sender)) {
      continue;
    }
    const std::uint64_t at = fault.kind == FaultKind::delay ? fault.offset : static_cast<std::uint64_t>(fault.amount);
    // A delay may begin before, a coalesce ends later: only what is cut must lie here.
    const bool here = fault.kind == FaultKind::delay      ? at < end
                      : fault.kind == FaultKind::coalesce ? at > begin && fault.offset < end
                      : fault.kind == FaultKind::split    ? at > begin && at < end
                                                          : at <= end;
    if (here) {
      item.spent = !fault.sticky;
      struck.push_back(fault);
      current()->inject(fault);
    }
  }
  return struck;
}

std::optional<Fault> Faults::chance_stream(const Place& sender, std::uint64_t begin, std::uint64_t end) {
  Prng& random = stream(Stream::fault);
  if (!random_ || !sender.connection || random.below(one_in_) != 0) {
    return std::nullopt;
  }
  Fault fault;
  fault.kind = FaultKind::delay;
  fault.connection = sender.connection;
  fault.side = sender.side;
  switch (random.below(3)) {
    case 0:
      fault.offset = begin;
      fault.amount = static_cast<std::int64_t>(random.between(1, 3000));
      break;
    case 1:
      if (end - begin < 2) {
        return std::nullopt;
      }
      fault.kind = FaultKind::split;
      fault.amount = static_cast<std::int64_t>(random.between(begin + 1, end - 1));
      break;
    default:
      fault.kind = FaultKind::coalesce;
      fault.offset = begin;
      fault.amount = static_cast<std::int64_t>(end + random.between(1, end - begin));
      break;
  }
  current()->inject(fault);
  return fault;
}

}  // namespace rig::lab
