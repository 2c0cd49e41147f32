// Law X1 about time: the deadlines that a scenario sets, in a lab, whose time is exact.
#include <algorithm>
#include <array>
#include <optional>

#include "harness/oracle/deadline_check.h"
#include "harness/scenario/run.h"

namespace rig {

namespace {

// establishing_of is the time that a side has spent on being established: nothing, if it came to be, or there is no
// limit. The time to connect is a part of the time to shake hands, and counts alone where nobody accepts.
std::optional<Stretch> establishing_of(const Settings& settings, const End& end) {
  std::uint64_t limit_us = settings.handshake_timeout_us;
  if (settings.peer == Peer::deaf && settings.connect_timeout_us > 0) {
    limit_us = limit_us == 0 ? settings.connect_timeout_us : std::min(limit_us, settings.connect_timeout_us);
  }
  if (limit_us == 0 || end.begun_ns() == End::never || end.connected()) {
    return std::nullopt;
  }
  const End::Outcome outcome = end.closed_outcome();
  return Stretch{.what = "to be established",
                 .begun_ns = end.begun_ns(),
                 .ended_ns = outcome.at_ns,
                 .limit_us = limit_us,
                 .told = outcome.error.has_value() && outcome.error->code() == Code::timeout};
}

// closing_of is the time that a side has spent on its orderly close: nothing, if it asked for none, or there is no
// limit. Whoever asks within the handshake may have the time from its end on.
std::optional<Stretch> closing_of(const Settings& settings, const End& end) {
  if (settings.close_timeout_us == 0 || end.left_ns() == End::never || !end.connected()) {
    return std::nullopt;
  }
  const End::Outcome outcome = end.closed_outcome();
  return Stretch{.what = "to close",
                 .begun_ns = end.left_ns(),
                 .later_ns = end.connected_outcome().at_ns,
                 .ended_ns = outcome.at_ns,
                 .limit_us = settings.close_timeout_us,
                 .told = outcome.error.has_value() && outcome.error->code() == Code::aborted && !end.aborted_itself()};
}

std::array<std::optional<Stretch>, 2> stretches_of(const Settings& settings, const End& end) {
  return {establishing_of(settings, end), closing_of(settings, end)};
}

}  // namespace

// A call that fails, a lack of memory or another violation may end a connection at any time.
void Run::judge_deadlines() {
  if (scenario_.memory_may_fail || std::ranges::any_of(scenario_.lab.faults, lab::fails_for_good) || log_.count() > 0) {
    return;
  }
  each_end([this](const End& end) {
    if (end.closed_outcome().came && end.closed_outcome().at_ns != End::never) {
      for (const auto& stretch : stretches_of(scenario_.settings, end)) {
        if (stretch.has_value()) {
          judge_deadline(end.name(), *stretch, log_);
        }
      }
    }
  });
}

// A network that takes long may keep a handshake and a close from their end, whatever the peer has done.
bool Run::has_run_out_of_time(const End& end) const {
  return std::ranges::any_of(stretches_of(scenario_.settings, end), [](const std::optional<Stretch>& stretch) {
    return stretch.has_value() && stretch->told && !is_early(*stretch);
  });
}

}  // namespace rig
