#include "harness/lab/kernel/wire.h"

#include <algorithm>

#include "harness/lab/kernel/state.h"
#include "harness/lab/kernel/tcp.h"

namespace rig::lab {
namespace {

// Linux sends a corked segment after this time, whatever comes.
constexpr std::int64_t hold_max_ns = 200'000'000;
// What a split parts arrives so much later than what went before.
constexpr std::int64_t split_gap_ns = 10'000;

}  // namespace

Wire::Wire(std::uint32_t wire_number, std::optional<std::uint32_t> named, bool first)
    : number(wire_number), connection(named), first_of_connection(first) {}

Place Wire::place(int side) const {
  return {.connection = connection, .side = side == 0 ? FaultSide::client : FaultSide::server};
}

void Wire::send(int side, bool more, bool corked) {
  Way& from = way(side);
  const std::uint64_t begin = from.stream.flight.empty() ? from.stream.arrived : from.stream.flight.back().end;
  if (begin == from.stream.written) {
    return;
  }
  if (from.held && !more && !corked) {
    flush(side);
  }
  cut(side, begin);
  if ((more || corked) && from.held_until <= begin) {
    from.held = true;
    from.stream.flight.back().due_ns = std::max(from.stream.flight.back().due_ns, now_ns() + hold_max_ns);
  }
  deliver();
}

void Wire::flush(int side) {
  Way& from = way(side);
  from.held = false;
  from.held_until = 0;
  from.last_due_ns = std::min(from.last_due_ns, now_ns());
  for (Segment& segment : from.stream.flight) {
    segment.due_ns = std::min(segment.due_ns, now_ns());
  }
  deliver();
}

// cut makes segments of the bytes from `begin` on, at the places where faults lie.
void Wire::cut(int side, std::uint64_t begin) {
  Way& from = way(side);
  std::vector<std::uint64_t> cuts;
  if (kernel().faults.has_stream_faults()) {
    begin = apply_faults(side, begin, cuts);
  }
  cuts.push_back(from.stream.written);
  std::ranges::sort(cuts);
  std::int64_t due_ns = now_ns() + kernel().latency_ns();
  std::uint64_t at = begin;
  for (const std::uint64_t end : cuts) {
    if (end <= at) {
      continue;
    }
    std::int64_t delay_ns = 0;
    for (const Fault& fault : from.later) {
      delay_ns += fault.offset <= at ? fault.amount * 1000 : 0;
    }
    if (at < from.held_until) {
      delay_ns = std::max(delay_ns, hold_max_ns);
    }
    from.last_due_ns = std::max(from.last_due_ns, due_ns + delay_ns);
    from.stream.flight.push_back({.end = end, .due_ns = from.last_due_ns});
    due_ns += end < from.stream.written ? split_gap_ns : 0;
    at = end;
  }
}

std::uint64_t Wire::apply_faults(int side, std::uint64_t begin, std::vector<std::uint64_t>& cuts) {
  Way& from = way(side);
  const std::uint64_t end = from.stream.written;
  std::vector<Fault> struck = kernel().faults.strike_stream(place(side), begin, end);
  if (first_of_connection) {
    if (const auto chance = kernel().faults.chance_stream(place(side), begin, end)) {
      struck.push_back(*chance);
    }
  }
  for (const Fault& fault : struck) {
    const auto amount = static_cast<std::uint64_t>(fault.amount);
    switch (fault.kind) {
      case FaultKind::delay:
        from.later.push_back(fault);
        cuts.push_back(fault.offset);
        break;
      case FaultKind::split:
        cuts.push_back(amount);
        break;
      case FaultKind::coalesce:
        from.held_until = std::max(from.held_until, amount);
        break;
      case FaultKind::reset:
        from.resets.push_back(amount);
        cuts.push_back(amount);
        break;
      default:
        break;
    }
  }
  if (from.held_until > 0 && end >= from.held_until) {
    // All that was held back leaves in one segment.
    from.held_until = 0;
    from.last_due_ns = std::min(from.last_due_ns, now_ns());
    while (!from.stream.flight.empty() && from.stream.flight.back().due_ns > now_ns()) {
      from.stream.flight.pop_back();
    }
    begin = from.stream.flight.empty() ? from.stream.arrived : from.stream.flight.back().end;
  }
  return begin;
}

void Wire::send_fin(int side) {
  Way& from = way(side);
  if (from.fin.sent || from.reset.sent) {
    return;
  }
  if (from.held || from.held_until > 0) {
    flush(side);
  }
  from.fin = {.sent = true, .arrived = false, .due_ns = std::max(from.last_due_ns, now_ns() + kernel().latency_ns())};
  from.last_due_ns = from.fin.due_ns;
  deliver();
}

void Wire::send_reset(int side) {
  Way& from = way(side);
  if (from.reset.sent) {
    return;
  }
  // What the window had no room for, or what waited for more, was not sent yet, and never will be.
  ByteStream& stream = from.stream;
  if (from.held) {
    stream.drop_unarrived();
  }
  const std::uint64_t window_end = stream.taken + std::max<std::uint64_t>(stream.recv_room, stream.readable());
  if (stream.written > window_end) {
    stream.bytes.chop(static_cast<std::size_t>(stream.written - window_end));
    stream.written = window_end;
    while (!stream.flight.empty() && stream.flight.back().end > window_end) {
      const std::uint64_t before =
          stream.flight.size() > 1 ? stream.flight[stream.flight.size() - 2].end : stream.arrived;
      if (before >= window_end) {
        stream.flight.pop_back();
      } else {
        stream.flight.back().end = window_end;
      }
    }
  }
  from.reset = {.sent = true, .arrived = false, .due_ns = std::max(from.last_due_ns, now_ns() + kernel().latency_ns())};
  tell_cut(std::nullopt);
  deliver();
}

void Wire::tell_cut(std::optional<std::int64_t> fault_ns) const {
  if (ResetObserver* const observer = kernel().observer; observer != nullptr && connection && first_of_connection) {
    observer->cut(*connection, fault_ns);
  }
}

void Wire::deliver() {
  arrive(0);
  arrive(1);
  kernel().due_at(next_due_ns());
}

// arrive lets come what `side` has sent and what is due.
void Wire::arrive(int side) {
  Way& from = way(side);
  const int receiver = 1 - side;
  if (way(receiver).reset.sent) {
    return;  // nobody is there: nothing is acknowledged
  }
  TcpSocket* there = end(receiver);
  if (!from.stream.flight.empty() && from.stream.flight.front().due_ns <= now_ns() &&
      (there == nullptr || there->refuses_data())) {
    event(Op::deliver, -2, number);
    send_reset(receiver);
    if (there != nullptr) {
      there->on_reset();
    }
    return;
  }
  if (const std::size_t landed = from.stream.land(); landed > 0) {
    event(Op::deliver, static_cast<std::int64_t>(landed), number);
    strike_resets(side);
    there->on_data();
    if (TcpSocket* socket = end(side)) {
      socket->on_room();
    }
  }
  if (!from.stream.flight.empty()) {
    return;
  }
  if (from.reset.sent && !from.reset.arrived && from.reset.due_ns <= now_ns()) {
    from.reset.arrived = true;
    event(Op::deliver, -1, number);
    way(receiver).stream.drop_unarrived();
    way(receiver).reset.sent = way(receiver).reset.arrived = true;
    if (TcpSocket* socket = end(receiver)) {
      socket->on_reset();
    }
    return;
  }
  if (from.fin.sent && !from.fin.arrived && !from.reset.sent && from.fin.due_ns <= now_ns()) {
    from.fin.arrived = true;
    event(Op::deliver, 0, number);
    if (TcpSocket* socket = end(receiver)) {
      socket->on_fin();
    }
    if (TcpSocket* socket = end(side)) {
      socket->on_fin_arrived();
    }
  }
}

void Wire::strike_resets(int side) {
  Way& from = way(side);
  for (const std::uint64_t at : from.resets) {
    if (from.stream.arrived < at) {
      continue;
    }
    from.resets.clear();
    tell_cut(now_ns());
    from.stream.drop_unarrived();
    way(1 - side).stream.drop_unarrived();
    for (const int each : {0, 1}) {
      way(each).reset.sent = way(each).reset.arrived = true;
    }
    for (const int each : {0, 1}) {
      if (TcpSocket* socket = end(each)) {
        socket->on_reset();
      }
    }
    return;
  }
}

std::int64_t Wire::next_due_ns() const {
  std::int64_t due_ns = never;
  for (const int side : {0, 1}) {
    const Way& each = way(side);
    if (way(1 - side).reset.sent) {
      continue;
    }
    if (!each.stream.flight.empty()) {
      // A window that is closed opens by a read, which delivers what is due.
      const bool open = each.stream.readable() < each.stream.recv_room;
      if (open || each.stream.flight.front().due_ns > now_ns()) {
        due_ns = std::min(due_ns, each.stream.flight.front().due_ns);
      }
    } else if (each.reset.sent && !each.reset.arrived) {
      due_ns = std::min(due_ns, each.reset.due_ns);
    } else if (each.fin.sent && !each.fin.arrived && !each.reset.sent) {
      due_ns = std::min(due_ns, each.fin.due_ns);
    }
  }
  return due_ns;
}

bool Wire::is_over() const {
  if (ends[0] != nullptr || ends[1] != nullptr) {
    return false;
  }
  return next_due_ns() == never;
}

}  // namespace rig::lab
