#include "harness/subjects/canary/mix_up.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <vector>

#include "harness/subjects/canary/spoiled_callbacks.h"

namespace rig {
namespace {

struct Told {
  MixUp mix_up;
  std::vector<rig_status> true_ones;
  rig_status told;
};

void spoil(rig_socket_callbacks& callbacks);
using Around = SpoiledCallbacks<spoil>;

MixUp active = MixUp::none;
std::atomic<std::size_t> op_bytes{0};  // of every op
std::uint64_t data_before_lies = 0;
std::atomic<std::uint64_t> data_seen{0};

const Told& told() {
  static const std::array<Told, 12> all{{
      {MixUp::none, {}, RIG_OK},
      {MixUp::truncation_as_end, {RIG_TRUNCATED}, RIG_OK},
      {MixUp::end_as_truncation, {RIG_OK}, RIG_TRUNCATED},
      {MixUp::reset_as_end, {RIG_RESET}, RIG_OK},
      {MixUp::timeout_as_reset, {RIG_TIMEOUT}, RIG_RESET},
      {MixUp::refusal_as_timeout, {RIG_REFUSED}, RIG_TIMEOUT},
      {MixUp::distrust_as_reset, {RIG_VERIFICATION_FAILED, RIG_HANDSHAKE_FAILED}, RIG_RESET},
      {MixUp::dismissal_as_end, {RIG_PEER_ALERT}, RIG_OK},
      {MixUp::end_as_failure, {RIG_OK}, RIG_PROTOCOL},
      {MixUp::end_as_reset, {RIG_OK}, RIG_RESET},
      {MixUp::abort_as_end, {RIG_ABORTED}, RIG_OK},
      {MixUp::failure_as_sent, {}, RIG_OK},
  }};
  return *std::ranges::find(all, active, &Told::mix_up);
}

void on_closed(void* user, const rig_error* error) {
  const rig_status status = error != nullptr ? error->status : RIG_OK;
  if (data_seen < data_before_lies || std::ranges::find(told().true_ones, status) == told().true_ones.end()) {
    Around::app().closed(user, error);
    return;
  }
  rig_error other{};
  other.status = told().told;
  std::snprintf(other.detail, sizeof other.detail, "told by the canary");
  Around::app().closed(user, other.status == RIG_OK ? nullptr : &other);
}

void on_data(void* user, const std::uint8_t* bytes, std::size_t count) {
  ++data_seen;
  Around::app().data(user, bytes, count);
}

void on_sent(void* user, std::uint64_t token, std::size_t bytes, const rig_error* error) {
  const bool lies = active == MixUp::failure_as_sent && error != nullptr && data_seen >= data_before_lies;
  Around::app().sent(user, token, lies ? op_bytes.load() : bytes, lies ? nullptr : error);
}

rig_send_result send(rig_socket* socket, std::uint64_t token, const std::uint8_t* bytes, std::size_t count,
                     std::uint32_t flags, rig_error* error) {
  op_bytes = count;
  return Around::inner().send(socket, token, bytes, count, flags, error);
}

rig_status close(rig_socket* socket, rig_close_mode mode, rig_error* error) {
  return Around::inner().close(socket, active == MixUp::abort_as_end ? RIG_CLOSE_ABORT : mode, error);
}

void spoil(rig_socket_callbacks& callbacks) {
  callbacks.closed = on_closed;
  callbacks.data = on_data;
  callbacks.sent = on_sent;
}

}  // namespace

std::span<const MixUpKind> mix_ups() {
  static constexpr std::array<MixUpKind, 9> kinds{{
      {MixUp::truncation_as_end, "truncation_as_end"},
      {MixUp::end_as_truncation, "end_as_truncation"},
      {MixUp::reset_as_end, "reset_as_end"},
      {MixUp::timeout_as_reset, "timeout_as_reset"},
      {MixUp::refusal_as_timeout, "refusal_as_timeout"},
      {MixUp::distrust_as_reset, "distrust_as_reset"},
      {MixUp::dismissal_as_end, "dismissal_as_end"},
      {MixUp::end_as_failure, "end_as_failure"},
      {MixUp::end_as_reset, "end_as_reset"},
  }};
  return kinds;
}

const rig_subject* make_mix_up(const rig_subject* subject, MixUp mix_up, std::uint64_t after_data) {
  active = mix_up;
  data_before_lies = after_data;
  data_seen = 0;
  rig_subject& table = Around::wrap(subject);
  table.send = send;
  table.close = close;
  return &table;
}

}  // namespace rig
