#include "harness/engine/pair.h"

#include <algorithm>
#include <cstring>

#include "harness/base/check.h"

namespace rig {
namespace {

// The period is a prime, so that no record size or buffer size divides it: bytes that arrive shifted by a whole record
// differ from those expected. The two directions are half a period apart.
constexpr std::uint64_t position_period = 65521;

const Bytes& position_table() {
  static const Bytes table = [] {
    Bytes bytes(position_period + position_coded_max);
    Prng prng(0x706f736974696f6e);
    for (std::size_t i = 0; i < position_period; ++i) {
      bytes[i] = static_cast<std::uint8_t>(prng.next() >> 32);
    }
    for (std::size_t i = position_period; i < bytes.size(); ++i) {
      bytes[i] = bytes[i - position_period];
    }
    return bytes;
  }();
  return table;
}

std::string_view side_name(Side side) {
  return side == Side::client ? "client" : "server";
}

std::string_view need_name(Need need) {
  switch (need) {
    case Need::input:
      return "input";
    case Need::room:
      return "room";
    case Need::nothing:
      break;
  }
  return "nothing";
}

}  // namespace

ByteView position_coded(Side from, std::uint64_t position, std::size_t bytes) noexcept {
  const std::uint64_t shift = from == Side::client ? 0 : position_period / 2;
  const std::size_t start = static_cast<std::size_t>((position + shift) % position_period);
  return ByteView(position_table()).subspan(start, std::min(bytes, position_coded_max));
}

ByteView EnginePair::Pipe::front(std::size_t bytes_max) const noexcept {
  return {block_.get() + head_, std::min(bytes_max, size())};
}

void EnginePair::Pipe::pop(std::size_t bytes) noexcept {
  head_ += bytes;
  if (head_ == tail_) {
    head_ = 0;
    tail_ = 0;
  }
}

MutableBytes EnginePair::Pipe::back(std::size_t room) {
  if (capacity_ - tail_ < room) {
    const std::size_t held = size();
    // Moving pays only if half the block is free; else a small backlog would be moved for every record.
    if (capacity_ >= 2 * (held + room)) {
      std::memmove(block_.get(), block_.get() + head_, held);
    } else {
      const std::size_t capacity = 2 * (held + room);
      auto block = std::make_unique_for_overwrite<std::uint8_t[]>(capacity);
      if (held > 0) {
        std::memcpy(block.get(), block_.get() + head_, held);
      }
      block_ = std::move(block);
      capacity_ = capacity;
    }
    head_ = 0;
    tail_ = held;
  }
  return {block_.get() + tail_, room};
}

EnginePair::EnginePair(std::unique_ptr<TlsEngine> client, std::unique_ptr<TlsEngine> server, const PairKnobs& knobs)
    : knobs_(knobs), prng_(knobs.seed) {
  RIG_CHECK(client != nullptr && server != nullptr);
  RIG_CHECK(knobs.out_bytes_max > 0 && knobs.feed_bytes_max > 0 && knobs.write_bytes_max > 0);
  RIG_CHECK(knobs.read_bytes_max > 0 && knobs.pipe_bytes_max > 0);
  peer(Side::client).engine = std::move(client);
  peer(Side::server).engine = std::move(server);
}

void EnginePair::inject(Side from, ByteView cipher) {
  Pipe& pipe = peer(other(from)).inbox;
  std::copy(cipher.begin(), cipher.end(), pipe.back(cipher.size()).begin());
  pipe.push(cipher.size());
}

MutableBytes EnginePair::out_storage(Side from) {
  Pipe& pipe = peer(other(from)).inbox;
  const std::size_t unused = knobs_.pipe_bytes_max - std::min(knobs_.pipe_bytes_max, pipe.size());
  return pipe.back(std::min(knobs_.out_bytes_max, unused));
}

void EnginePair::put_under_way(Side from, std::size_t bytes) {
  if (bytes == 0) {
    return;
  }
  Pipe& pipe = peer(other(from)).inbox;
  const std::uint64_t offset = peer(from).cipher_total;
  peer(from).cipher_total += bytes;
  if (!tamper_) {
    pipe.push(bytes);
    return;
  }
  const MutableBytes produced = pipe.back(bytes);
  Bytes cipher(produced.begin(), produced.end());
  tamper_(from, offset, cipher);
  inject(from, cipher);
}

void EnginePair::fail(Side side, const Error& error) {
  peer(side).end.failure = error;
  cut(side);
}

bool EnginePair::step(Side side) {
  Peer& self = peer(side);
  if (self.end.failure.has_value()) {
    self.inbox.pop(self.inbox.size());  // nobody reads it any more; a full pipe must not stop the other side
    return false;
  }
  bool moved = step_input(side);
  if (!self.end.handshake_done) {
    return step_handshake(side) || moved;
  }
  moved = step_read(side) || moved;
  moved = step_action(side) || moved;
  moved = step_write(side) || moved;
  return step_close(side) || moved;
}

bool EnginePair::step_input(Side side) {
  Peer& self = peer(side);
  if (self.held) {
    return false;
  }
  const ByteView cipher = self.inbox.front(knobs_.feed_bytes_max);
  if (!cipher.empty()) {
    const Status fed = self.engine->feed(cipher);
    self.inbox.pop(cipher.size());
    self.handshake_due = true;
    self.read_due = true;
    if (!fed.has_value()) {
      fail(side, fed.error());
    }
    return true;
  }
  if (self.fin && !self.fin_delivered) {
    self.engine->end_of_input();
    self.fin_delivered = true;
    self.handshake_due = true;
    self.read_due = true;
    return true;
  }
  return false;
}

bool EnginePair::step_handshake(Side side) {
  Peer& self = peer(side);
  // The handshake is called again only for what it said it needs: an engine that names the wrong need must stall here.
  if (self.end.failure.has_value() || !self.handshake_due) {
    return false;
  }
  const std::uint64_t before = self.cipher_total;
  const auto need = call(side, [](TlsEngine& engine, CipherOut& out) { return engine.handshake(out); });
  if (!need.has_value()) {
    fail(side, need.error());
    return true;
  }
  self.end.last_need = *need;
  self.end.handshake_done = *need == Need::nothing;
  self.handshake_due = *need == Need::room;
  self.read_due = true;  // application data may have come with the last flight
  return self.end.handshake_done || self.cipher_total != before;
}

bool EnginePair::step_read(Side side) {
  Peer& self = peer(side);
  if (self.end.failure.has_value() || self.end.clean_end || !(self.read_due || self.engine->readable())) {
    return false;
  }
  read_buffer_.resize(knobs_.read_bytes_max);
  const std::uint64_t before = self.cipher_total;
  const auto answer =
      call(side, [this](TlsEngine& engine, CipherOut& out) { return engine.read(MutableBytes(read_buffer_), out); });
  if (!answer.has_value()) {
    fail(side, answer.error());
    return true;
  }
  // Only readable() decides whether to read again after a delivery: a layer that sleeps on it must lose nothing.
  self.read_due = answer->need == Need::room;
  self.write_blocked = false;
  self.end.last_need = answer->need;
  std::size_t checked = 0;
  while (checked < answer->bytes) {
    const ByteView expected = position_coded(other(side), self.end.received, answer->bytes - checked);
    const std::uint8_t* arrived = read_buffer_.data() + checked;
    const auto differs = std::mismatch(expected.begin(), expected.end(), arrived);
    if (differs.first != expected.end()) {
      const auto position = self.end.received + static_cast<std::uint64_t>(differs.first - expected.begin());
      corrupt_ = std::string(side_name(side)) + ": the byte received at position " + std::to_string(position) +
                 " is not the one that was sent there";
      return true;
    }
    checked += expected.size();
    self.end.received += expected.size();
  }
  self.end.clean_end = answer->end;
  return answer->bytes > 0 || answer->end || self.cipher_total != before;
}

bool EnginePair::step_action(Side side) {
  Peer& self = peer(side);
  if (self.end.failure.has_value() || self.action == Action::none || self.rest > 0) {
    return false;
  }
  const bool renegotiation = self.action == Action::renegotiate;
  const std::uint64_t before = self.cipher_total;
  const auto need = call(side, [renegotiation](TlsEngine& engine, CipherOut& out) {
    return renegotiation ? engine.renegotiate(out) : engine.update_keys(out);
  });
  if (!need.has_value()) {
    const Code code = need.error().code();
    if (code == Code::unsupported || code == Code::invalid_state) {
      self.end.refusal = need.error();
      self.action = Action::none;
      return true;
    }
    fail(side, need.error());
    return true;
  }
  if (*need != Need::room) {
    self.action = Action::none;
    self.read_due = true;
  }
  return self.action == Action::none || self.cipher_total != before;
}

bool EnginePair::step_write(Side side) {
  Peer& self = peer(side);
  const bool due = self.end.to_write > 0 && self.end.handshake_done && !self.end.failure.has_value();
  // A renegotiation that did not fit is repeated before anything else is written.
  if (!due || self.write_blocked || (self.action != Action::none && self.rest == 0)) {
    return false;
  }
  std::size_t offer = std::min(knobs_.write_bytes_max, position_coded_max);
  if (self.rest > 0) {
    offer = knobs_.longer_retries ? std::max(offer, self.rest) : self.rest;
  }
  offer = static_cast<std::size_t>(std::min<std::uint64_t>(offer, self.end.to_write));
  const ByteView plain = position_coded(side, self.end.written, offer);
  const std::uint64_t before = self.cipher_total;
  const auto answer = call(side, [plain](TlsEngine& engine, CipherOut& out) { return engine.write(plain, out); });
  if (!answer.has_value()) {
    fail(side, answer.error());
    return true;
  }
  RIG_CHECK(answer->accepted <= offer);
  self.rest = offer - answer->accepted;
  self.end.written += answer->accepted;
  self.end.to_write -= answer->accepted;
  self.end.last_need = answer->need;
  self.write_blocked = answer->need == Need::input;
  return answer->accepted > 0 || self.cipher_total != before;
}

bool EnginePair::step_close(Side side) {
  Peer& self = peer(side);
  const bool due = self.close_wanted && !self.end.close_sent && self.end.to_write == 0;
  if (!due || self.action != Action::none || self.end.failure.has_value()) {
    return false;
  }
  const std::uint64_t before = self.cipher_total;
  const auto need = call(side, [](TlsEngine& engine, CipherOut& out) { return engine.close_notify(out); });
  if (!need.has_value()) {
    fail(side, need.error());
    return true;
  }
  self.end.last_need = *need;
  self.end.close_sent = *need == Need::nothing;
  if (self.end.close_sent && knobs_.fin_after_close) {
    cut(side);
  }
  return self.end.close_sent || self.cipher_total != before;
}

std::string EnginePair::stall_detail() const {
  std::string text = "neither side can go on:";
  for (const Side side : {Side::client, Side::server}) {
    const Peer& self = peer(side);
    text += " the " + std::string(side_name(side)) + (self.end.handshake_done ? "" : " is in its handshake and") +
            " needs " + std::string(need_name(self.end.last_need)) + ", has " + std::to_string(self.inbox.size()) +
            " B under way to it, " + std::to_string(self.end.to_write) + " B to write, received " +
            std::to_string(self.end.received) + " B;";
  }
  text.pop_back();
  return text;
}

std::string EnginePair::failure_detail() const {
  std::string text;
  for (const Side side : {Side::client, Side::server}) {
    if (const auto& error = failure(side); error.has_value()) {
      text += (text.empty() ? "" : "; ") + std::string(side_name(side)) + ": " + std::string(code_name(error->code())) +
              ": " + std::string(error->detail());
    }
  }
  return text;
}

PairOutcome EnginePair::run(const std::function<bool()>& goal) {
  bool idle[2] = {false, false};
  Side next = Side::client;
  for (std::uint64_t steps = 0; steps < knobs_.steps_max; ++steps) {
    if (goal()) {
      return {};
    }
    const Side side = knobs_.seed == 0 ? next : (prng_.below(2) == 0 ? Side::client : Side::server);
    next = other(side);
    const bool moved = step(side);
    if (corrupt_.has_value()) {
      return {.kind = PairOutcome::Kind::corrupt, .detail = *corrupt_};
    }
    if (moved) {
      idle[0] = idle[1] = false;
      continue;
    }
    idle[static_cast<std::size_t>(side)] = true;
    if (!idle[0] || !idle[1]) {
      continue;
    }
    if (failure(Side::client).has_value() || failure(Side::server).has_value()) {
      return {.kind = PairOutcome::Kind::failed, .detail = failure_detail()};
    }
    return {.kind = PairOutcome::Kind::stalled, .detail = stall_detail()};
  }
  return {.kind = PairOutcome::Kind::exhausted,
          .detail = "the goal was not reached in " + std::to_string(knobs_.steps_max) + " steps"};
}

PairOutcome EnginePair::run_handshake() {
  return run([this] { return end(Side::client).handshake_done && end(Side::server).handshake_done; });
}

PairOutcome EnginePair::run_traffic() {
  return run([this] {
    const PairEnd& client = end(Side::client);
    const PairEnd& server = end(Side::server);
    return client.to_write == 0 && server.to_write == 0 && client.received == server.written &&
           server.received == client.written;
  });
}

PairOutcome EnginePair::run_close() {
  close(Side::client);
  close(Side::server);
  return run([this] {
    return end(Side::client).close_sent && end(Side::server).close_sent && end(Side::client).clean_end &&
           end(Side::server).clean_end;
  });
}

}  // namespace rig
