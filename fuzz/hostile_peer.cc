#include "fuzz/hostile_peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "fuzz/finding.h"
#include "fuzz/fitted.h"
#include "fuzz/psk_engine.h"

namespace rig {
namespace {

constexpr std::size_t header_bytes = 5;
constexpr std::size_t out_bytes = 40'000;  // a write's record and whatever else is due
constexpr int verbs_max = 64;              // of one step

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  in.sin_port = htons(port);
  return in;
}

}  // namespace

HostilePeer::HostilePeer(const PeerPlan& plan, StreamCheck& stream)
    : stream_number_(static_cast<std::uint64_t>(plan.side)),
      may_cross_(plan.side == Side::client || requests_may_cross(plan.library)),
      stream_(stream),
      engine_(make_psk_engine({.library = plan.library,
                               .role = plan.side == Side::client ? Role::client : Role::server,
                               .version = plan.tls == TlsChoice::tls13 ? TlsVersion::tls13 : TlsVersion::tls12,
                               .renegotiation = plan.renegotiation})) {}

HostilePeer::~HostilePeer() {
  close_socket();
  if (listening_ >= 0) {
    ::close(listening_);
  }
}

void HostilePeer::close_socket() {
  if (socket_ >= 0) {
    ::close(std::exchange(socket_, -1));
  }
}

std::uint16_t HostilePeer::listen() {
  listening_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_in address = loopback(0);
  socklen_t bytes = sizeof address;
  demand(listening_ >= 0 && ::bind(listening_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
             ::listen(listening_, 4) == 0 &&
             ::getsockname(listening_, reinterpret_cast<sockaddr*>(&address), &bytes) == 0,
         "the peer cannot listen");
  return ntohs(address.sin_port);
}

void HostilePeer::accept() {
  socket_ = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  demand(socket_ >= 0, "nobody connects to the peer");
}

void HostilePeer::connect(std::uint16_t port) {
  socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const sockaddr_in address = loopback(port);
  const int result = ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  demand(socket_ >= 0 && (result == 0 || errno == EINPROGRESS), "the peer cannot connect");
}

template <typename Verb>
auto HostilePeer::ask(Verb&& verb) {
  std::array<std::uint8_t, out_bytes> storage;
  CipherOut out{MutableBytes(storage)};
  auto answer = verb(*engine_, out);
  failed_ = failed_ || (!answer.has_value() && answer.error().code() != Code::invalid_state &&
                        answer.error().code() != Code::unsupported);
  put(out.bytes());
  return answer;
}

void HostilePeer::take_in() {
  std::array<std::uint8_t, 16'384> bytes;
  for (int reads = 0; reads < verbs_max; ++reads) {
    const ssize_t count = ::recv(socket_, bytes.data(), bytes.size(), 0);
    if (count == 0) {
      engine_->end_of_input();
    }
    if (count <= 0) {
      return;
    }
    failed_ = failed_ || !engine_->feed(ByteView(bytes).first(static_cast<std::size_t>(count))).has_value();
  }
}

void HostilePeer::step() {
  if (socket_ < 0) {
    return;
  }
  go_on();
  take_in();
  if (!failed_ && !shaken_hands_) {
    const auto need = ask([](TlsEngine& engine, CipherOut& out) { return engine.handshake(out); });
    shaken_hands_ = need.has_value() && *need == Need::nothing;
  }
  std::array<std::uint8_t, 16'384> plain;
  for (int reads = 0; reads < verbs_max && shaken_hands_ && !failed_; ++reads) {
    const auto read = ask([&plain](TlsEngine& engine, CipherOut& out) { return engine.read(plain, out); });
    if (!read.has_value() || read->bytes == 0) {
      break;
    }
  }
  write_on();
  flush();
}

void HostilePeer::write_on() {
  for (int writes = 0; writes < verbs_max && shaken_hands_ && !failed_ && !to_write_.empty(); ++writes) {
    const auto written = ask([this](TlsEngine& engine, CipherOut& out) { return engine.write(to_write_, out); });
    if (!written.has_value() || (written->accepted == 0 && written->need != Need::room)) {
      break;
    }
    to_write_.erase(to_write_.begin(), to_write_.begin() + static_cast<std::ptrdiff_t>(written->accepted));
  }
  if (goodbye_wanted_ && shaken_hands_ && !failed_ && !said_goodbye_ && to_write_.empty()) {
    const auto need = ask([](TlsEngine& engine, CipherOut& out) { return engine.close_notify(out); });
    said_goodbye_ = need.has_value() && !mute_ && !end_wanted_;
  }
}

void HostilePeer::spoil(Spoiling how, std::uint8_t skipped, std::uint16_t offset, std::uint8_t value) {
  spoils_.push_back({how, skipped, offset, value});
}

void HostilePeer::say(ByteView bytes) {
  if (!mute_ && !end_wanted_ && !bytes.empty()) {
    go_on();
    sound_ = false;
    outbox_.insert(outbox_.end(), bytes.begin(), bytes.end());
    flush();
  }
}

void HostilePeer::write(std::size_t bytes) {
  if (goodbye_wanted_ || end_wanted_) {
    return;
  }
  Bytes plain(bytes);
  const std::uint64_t token = next_token_++;
  position_code(stream_number_, token, plain);
  stream_.issue(token, bytes);
  stream_.answered(token, true);
  to_write_.insert(to_write_.end(), plain.begin(), plain.end());
  step();
}

// A HelloRequest that meets a client in a handshake of its own is to be ignored (RFC 5246 7.4.1.1). For mbedTLS it is a
// ServerHello that cannot be (reports/findings/0040).
void HostilePeer::renegotiate() {
  if (shaken_hands_ && !failed_ && !said_goodbye_) {
    sound_ = sound_ && may_cross_;
    ask([](TlsEngine& engine, CipherOut& out) { return engine.renegotiate(out); });
  }
}

void HostilePeer::update_keys() {
  if (shaken_hands_ && !failed_ && !said_goodbye_) {
    sound_ = sound_ && ++key_updates_ <= FuzzLimits::key_updates;
    ask([](TlsEngine& engine, CipherOut& out) { return engine.update_keys(out); });
  }
}

void HostilePeer::close_notify() {
  goodbye_wanted_ = true;
  step();
}

void HostilePeer::end() {
  end_wanted_ = true;
  flush();
}

void HostilePeer::reset() {
  if (socket_ >= 0) {
    const linger now{.l_onoff = 1, .l_linger = 0};
    static_cast<void>(::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now));
    close_socket();
    was_reset_ = true;
  }
}

// What an engine puts out is whole records; a rest that is none goes as it is.
void HostilePeer::put(ByteView cipher) {
  while (!cipher.empty()) {
    std::size_t bytes = cipher.size();
    if (cipher.size() > header_bytes) {
      bytes = std::min(bytes, header_bytes + (std::size_t{cipher[3]} << 8 | cipher[4]));
    }
    put_record(cipher.first(bytes));
    cipher = cipher.subspan(bytes);
  }
}

void HostilePeer::go_on() {
  const Bytes rest = std::exchange(rest_, {});
  outbox_.insert(outbox_.end(), rest.begin(), rest.end());
}

void HostilePeer::put_record(ByteView record) {
  go_on();
  if (mute_ || end_wanted_) {
    return;
  }
  const auto due = std::ranges::find(spoils_, 0, &Spoil::skipped);
  for (Spoil& spoil : spoils_) {
    spoil.skipped -= spoil.skipped > 0 ? 1 : 0;
  }
  Bytes late = std::exchange(late_, {});
  if (due == spoils_.end()) {
    outbox_.insert(outbox_.end(), record.begin(), record.end());
  } else {
    const Spoil spoil = *due;
    spoils_.erase(due);
    put_spoilt(spoil, Bytes(record.begin(), record.end()));
  }
  outbox_.insert(outbox_.end(), late.begin(), late.end());
}

void HostilePeer::put_spoilt(const Spoil& spoil, Bytes record) {
  const std::size_t at = spoil.offset % record.size();
  const auto place = record.begin() + static_cast<std::ptrdiff_t>(at);
  sound_ = sound_ && (spoil.how == Spoiling::halting || spoil.how == Spoiling::cut);
  switch (spoil.how) {
    case Spoiling::changed:
      *place ^= static_cast<std::uint8_t>(spoil.value == 0 ? 1 : spoil.value);
      break;
    case Spoiling::shortened:
      record.resize(at);
      break;
    case Spoiling::lengthened:
      record.insert(place, std::size_t{spoil.value} + 1, spoil.value);
      break;
    case Spoiling::lost:
      record.clear();
      break;
    case Spoiling::twice:
      outbox_.insert(outbox_.end(), record.begin(), record.end());
      break;
    case Spoiling::late:
      late_ = std::exchange(record, {});
      break;
    case Spoiling::halting:
      rest_.assign(place, record.end());
      record.resize(at);
      break;
    case Spoiling::cut:
      record.resize(at);
      mute_ = end_wanted_ = true;
      break;
  }
  outbox_.insert(outbox_.end(), record.begin(), record.end());
}

void HostilePeer::flush() {
  while (socket_ >= 0 && !outbox_.empty()) {
    const ssize_t count = ::send(socket_, outbox_.data(), outbox_.size(), MSG_NOSIGNAL);
    if (count <= 0) {
      return;
    }
    outbox_.erase(outbox_.begin(), outbox_.begin() + count);
  }
  if (socket_ >= 0 && end_wanted_ && !ended_) {
    ended_ = true;
    ::shutdown(socket_, SHUT_WR);
  }
}

}  // namespace rig
