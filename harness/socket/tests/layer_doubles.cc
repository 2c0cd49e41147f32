#include "harness/socket/tests/layer_doubles.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

namespace rig::test {
namespace {

// call runs a copy of `hook`, which may replace itself.
void call(std::function<void()> hook) {
  if (hook) {
    hook();
  }
}

class FakeTransport final : public Transport {
 public:
  explicit FakeTransport(std::shared_ptr<FakeWire> wire) : wire_(std::move(wire)) {}
  ~FakeTransport() override { close(false); }

  NativeHandle handle() const noexcept override { return wire_->closed ? invalid_handle : wire_->handle; }
  Status finish_connect() noexcept override {
    system_call();
    return wire_->connected;
  }
  Status failure() noexcept override {
    system_call();
    return wire_->failure;
  }

  std::expected<std::size_t, Error> send(std::span<const ByteView> pieces, bool more) noexcept override {
    ++wire_->sends;
    EXPECT_TRUE(std::ranges::none_of(pieces, &ByteView::empty)) << "a piece that holds nothing";
    call(wire_->on_send);
    if (wire_->send_error.has_value()) {
      return std::unexpected(*wire_->send_error);
    }
    std::string bytes;
    for (const ByteView piece : pieces) {
      bytes += as_text(piece);
    }
    bytes.resize(std::min({bytes.size(), wire_->room, wire_->take_max}));
    if (bytes.empty()) {
      return std::unexpected(Error(Code::would_block, "the wire is full"));
    }
    wire_->room -= wire_->room == no_limit_bytes ? 0 : bytes.size();
    wire_->sent.push_back({.bytes = bytes, .more = more});
    return bytes.size();
  }

  Status push() noexcept override {
    system_call();
    ++wire_->pushes;
    return {};
  }

  std::expected<std::size_t, Error> recv(MutableBytes storage) noexcept override {
    ++wire_->recvs;
    call(wire_->on_recv);
    if (!wire_->input.empty()) {
      const std::size_t bytes = std::min({storage.size(), wire_->input.size(), wire_->give_max});
      std::copy_n(wire_->input.begin(), bytes, storage.begin());
      wire_->input.erase(0, bytes);
      return bytes;
    }
    if (wire_->broken.has_value()) {
      return std::unexpected(*wire_->broken);
    }
    if (wire_->fin) {
      return std::size_t{0};
    }
    return std::unexpected(Error(Code::would_block, "nothing is there"));
  }

  Status shutdown_send() noexcept override {
    system_call();
    ++wire_->fins;
    return wire_->shutdown;
  }
  std::expected<std::size_t, Error> unsent_bytes() const noexcept override {
    system_call();
    return wire_->unsent;
  }
  Status set_nodelay(bool) noexcept override { return {}; }
  Status set_buffers(std::size_t, std::size_t) noexcept override { return {}; }
  void close(bool reset) noexcept override {
    if (!std::exchange(wire_->closed, true)) {
      system_call();
      wire_->reset = reset;
    }
  }
  std::expected<Endpoint, Error> local_endpoint() const override { return Endpoint{}; }
  std::expected<Endpoint, Error> peer_endpoint() const override { return Endpoint{}; }

 private:
  void system_call() const { call(wire_->on_system_call); }

  const std::shared_ptr<FakeWire> wire_;
};

class FakeEngine final : public TlsEngine {
 public:
  explicit FakeEngine(std::shared_ptr<EngineScript> script) : script_(std::move(script)) {}

  Status feed(ByteView cipher) override {
    ++script_->feeds;
    if (script_->feed_error.has_value()) {
      return std::unexpected(*script_->feed_error);
    }
    input_ += as_text(cipher);
    return {};
  }
  void end_of_input() noexcept override { input_ended_ = true; }

  std::expected<Need, Error> handshake(CipherOut& out) override {
    ++script_->handshakes;
    if (!std::exchange(began_, true)) {
      out.append(as_bytes("."));
    }
    while (flights_ < script_->flights) {
      if (input_.empty()) {
        return input_ended_ ? std::expected<Need, Error>(fatal(Code::truncated, out)) : Need::input;
      }
      if (take() != '.') {
        return fatal(Code::protocol, out);
      }
      ++flights_;
    }
    return Need::nothing;
  }

  std::expected<WriteStep, Error> write(ByteView plain, CipherOut& out) override {
    if (script_->write_error.has_value()) {
      return fatal(script_->write_error->code(), out);
    }
    if (renegotiating_) {
      return WriteStep{.need = Need::input};
    }
    const std::size_t accepted = out.append(plain.first(std::min(plain.size(), script_->accept_max)));
    partly_written_ = accepted < plain.size();
    return WriteStep{.accepted = accepted, .need = partly_written_ ? Need::room : Need::nothing};
  }

  std::expected<ReadStep, Error> read(MutableBytes plain, CipherOut& out) override {
    if (input_.starts_with('r')) {
      take();
      renegotiating_ = false;
    }
    if (ended_ || input_.starts_with('!')) {
      ended_ = true;
      return ReadStep{.end = true};
    }
    if (input_.starts_with('X')) {
      return fatal(Code::peer_alert, out);
    }
    if (input_.empty()) {
      return input_ended_ ? std::expected<ReadStep, Error>(fatal(Code::truncated, out)) : ReadStep{.need = Need::input};
    }
    const std::size_t bytes = std::min({plain.size(), input_.size(), input_.find_first_of("r!X")});
    std::copy_n(input_.begin(), bytes, plain.begin());
    input_.erase(0, bytes);
    return ReadStep{.bytes = bytes};
  }

  bool readable() const noexcept override { return !input_.empty(); }

  std::expected<Need, Error> renegotiate(CipherOut& out) override {
    const auto need = control("R", out);
    renegotiating_ = need.has_value();
    return need;
  }
  std::expected<Need, Error> update_keys(CipherOut& out) override { return control("K", out); }

  std::expected<Need, Error> close_notify(CipherOut& out) override {
    if (renegotiating_) {
      return std::unexpected(Error(Code::invalid_state, "a renegotiation is under way"));
    }
    if (script_->notify_error.has_value()) {
      return fatal(script_->notify_error->code(), out);
    }
    ++script_->notifies;
    out.append(as_bytes("!"));
    return Need::nothing;
  }

  Facts facts() const override { return {}; }
  std::expected<Bytes, Error> session() override { return Bytes{}; }

 private:
  char take() {
    const char first = input_[0];
    input_.erase(0, 1);
    return first;
  }

  static std::unexpected<Error> fatal(Code code, CipherOut& out) {
    out.append(as_bytes("X"));
    return std::unexpected(Error(code, "the fake engine failed"));
  }

  std::expected<Need, Error> control(std::string_view flight, CipherOut& out) {
    if (partly_written_) {
      return std::unexpected(Error(Code::invalid_state, "a write is only partly accepted"));
    }
    if (script_->control_error.has_value()) {
      return std::unexpected(*script_->control_error);
    }
    out.append(as_bytes(flight));
    return Need::nothing;
  }

  const std::shared_ptr<EngineScript> script_;
  std::string input_;
  std::size_t flights_ = 0;
  bool began_ = false;
  bool input_ended_ = false;
  bool ended_ = false;
  bool partly_written_ = false;
  bool renegotiating_ = false;
};

}  // namespace

std::string FakeWire::text() const {
  std::string all;
  for (const Sent& one : sent) {
    all += one.bytes;
  }
  return all;
}

std::unique_ptr<Transport> make_fake_transport(std::shared_ptr<FakeWire> wire) {
  return std::make_unique<FakeTransport>(std::move(wire));
}

Status FakePoller::add(NativeHandle handle, std::uint64_t key, Interest interest) noexcept {
  call(on_system_call);
  if (refuse_add.has_value()) {
    return std::unexpected(*refuse_add);
  }
  entries.push_back({.handle = handle, .key = key, .interest = interest});
  return {};
}

Status FakePoller::modify(NativeHandle handle, Interest interest) noexcept {
  call(on_system_call);
  if (refuse_modify.has_value()) {
    return std::unexpected(*refuse_modify);
  }
  for (Entry& one : entries) {
    if (one.handle == handle) {
      one.interest = interest;
      return {};
    }
  }
  return std::unexpected(Error(Code::invalid_argument, "the handle is not registered"));
}

Status FakePoller::remove(NativeHandle handle) noexcept {
  call(on_system_call);
  if (std::erase_if(entries, [handle](const Entry& one) { return one.handle == handle; }) == 0) {
    return std::unexpected(Error(Code::invalid_argument, "the handle is not registered"));
  }
  return {};
}

std::expected<std::size_t, Error> FakePoller::wait(std::span<Ready> ready, std::int64_t timeout_us) noexcept {
  ++waits;
  last_timeout_us = timeout_us;
  if (refuse_wait.has_value()) {
    return std::unexpected(*std::exchange(refuse_wait, std::nullopt));
  }
  std::size_t used = 0;
  for (const Ready& report : std::exchange(planted, {})) {
    ready[used++] = report;
  }
  for (const Entry& one : entries) {
    const auto known = std::ranges::find(wires_, one.handle, &FakeWire::handle);
    if (known == wires_.end() || used == ready.size()) {
      continue;
    }
    const FakeWire& wire = **known;
    const bool shown = wire.hung_up && hides_failures;
    const Ready report{.handle = one.handle,
                       .key = one.key,
                       .readable = one.interest.readable && (wire.readable() || shown),
                       .writable = one.interest.writable && (wire.writable() || shown),
                       .failed = wire.hung_up && !hides_failures};
    if (report.readable || report.writable || report.failed) {
      ready[used++] = report;
    }
  }
  reports += used;
  return used;
}

const FakePoller::Entry* FakePoller::entry(NativeHandle handle) const {
  const auto found = std::ranges::find(entries, handle, &Entry::handle);
  return found == entries.end() ? nullptr : &*found;
}

std::unique_ptr<TlsEngine> make_fake_engine(std::shared_ptr<EngineScript> script) {
  return std::make_unique<FakeEngine>(std::move(script));
}

}  // namespace rig::test
