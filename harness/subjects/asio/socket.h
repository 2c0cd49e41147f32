// Socket: Asio's TLS stream as its documentation says: a thread per io_context, one read and one write under way, a
// queue because async_write asks for one, a timer for deadlines, async_shutdown at the end.
#pragma once

#include <algorithm>
#include <asio.hpp>
#include <asio/ssl.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "harness/subjects/asio/context.h"
#include "harness/subjects/subject.h"

namespace asio_guest {

// tcp, Failure and Clock are Asio's own, by shorter names.
using asio::ip::tcp;
using Failure = asio::error_code;
using Clock = asio::steady_timer::clock_type;

class Listener;
class Socket;

// Loop is what a rig_loop is. A socket is in it until both `closed` and destroy() have been.
struct Loop {
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
  bool fast_track = false;
  std::set<std::shared_ptr<Listener>> listeners;
  std::set<std::shared_ptr<Socket>> sockets;
};

// after is when a deadline is; 0 asks for the default.
inline Clock::time_point after(std::uint64_t asked_us, int default_s) {
  return Clock::now() + (asked_us != 0 ? std::chrono::microseconds(asked_us) : std::chrono::seconds(default_s));
}

// Socket is what a rig_socket is. Thread: send, set_paused, close and info on any, the others on the loop's.
class Socket : public std::enable_shared_from_this<Socket> {
  // counted makes the handler of an operation, which keeps the socket: `closed` comes behind the last of them.
  auto counted(auto handler) {
    ++under_way_;
    return [self = shared_from_this(), handler](auto... results) {
      handler(results...);
      --self->under_way_;
      self->finish();
    };
  }
  // post is for verbs of any thread, which come before or behind the end.
  void post(auto task) {
    asio::post(loop_.io, [self = shared_from_this(), task] {
      task();
      self->finish();
    });
  }

 public:
  Socket(Loop& loop, Context& context, const rig_socket_config& config, tcp::socket socket, std::shared_ptr<void> place)
      : loop_(loop),
        context_(context),
        config_(config),
        stream_(std::move(socket), context.tls),
        deadline_(loop.io),
        handshake_until_(after(config.handshake_timeout_us, 30)),
        place_(std::move(place)) {
    Failure ignored;
    auto& tcp_socket = stream_.lowest_layer();
    if (config.kernel_send_bytes != 0) {
      tcp_socket.set_option(tcp::socket::send_buffer_size(static_cast<int>(config.kernel_send_bytes)), ignored);
    }
    if (config.kernel_recv_bytes != 0) {
      tcp_socket.set_option(tcp::socket::receive_buffer_size(static_cast<int>(config.kernel_recv_bytes)), ignored);
    }
    tcp_socket.set_option(tcp::no_delay(config.nodelay != 0), ignored);
  }

  void adopt(const rig_socket_callbacks& callbacks, void* user) {
    callbacks_ = callbacks;
    user_ = user;
  }

  void connect(const tcp::endpoint& peer, const std::string& host) {
    if (context_.verifies) {
      SSL_set_tlsext_host_name(stream_.native_handle(), host.c_str());
      stream_.set_verify_callback(asio::ssl::host_name_verification(host));
    }
    deadline_at(std::min(after(config_.connect_timeout_us, 30), handshake_until_), RIG_TIMEOUT);
    stream_.lowest_layer().async_connect(peer, counted([this](const Failure& failure) {
                                           failure ? end(failure) : handshake(asio::ssl::stream_base::client);
                                         }));
  }

  void handshake(asio::ssl::stream_base::handshake_type role) {
    if (phase_ != Phase::beginning) {
      return;
    }
    deadline_at(handshake_until_, RIG_TIMEOUT);
    stream_.async_handshake(role, counted([this](const Failure& failure) {
                              if (failure) {
                                end(failure);
                              } else if (phase_ == Phase::beginning) {
                                opened();
                              }
                            }));
  }

  rig_send_result send(std::uint64_t token, const std::uint8_t* bytes, std::size_t count, rig_error* error) {
    const std::lock_guard lock(mutex_);
    if (!takes_) {
      error_of(asio::error::not_connected, RIG_CLOSED, error);
      return RIG_SEND_REFUSED;
    }
    post([this] { write(); });
    ops_.push_back({token, {bytes, bytes + count}});
    queued_bytes_ += count;
    return RIG_SEND_PENDING;
  }

  void set_paused(bool paused) {
    post([this, paused] {
      paused_ = paused;
      read();
    });
  }

  void close(rig_close_mode mode) {
    {
      const std::lock_guard lock(mutex_);
      takes_ = false;
    }
    post([this, mode] {
      if (mode == RIG_CLOSE_ABORT) {
        end(asio::error::operation_aborted, RIG_ABORTED);
      } else if (!std::exchange(closing_, true)) {
        const auto until = after(config_.close_timeout_us, 10);
        deadline_at(phase_ == Phase::beginning ? std::min(until, deadline_.expiry()) : until, RIG_ABORTED);
        write();
        read();
      }
    });
  }

  void destroy() {
    destroyed_ = true;
    close(RIG_CLOSE_ABORT);
    forget();
  }

  void info(rig_socket_info& info) {
    const std::lock_guard lock(mutex_);
    info = info_;
    std::snprintf(info.library, sizeof info.library, "openssl");
    std::snprintf(info.library_version, sizeof info.library_version, "%s", library_version().c_str());
    std::snprintf(info.poller, sizeof info.poller, "epoll");
    info.fast_track = loop_.fast_track ? 1 : 0;
    info.nodelay = config_.nodelay;
    info.ops_pending = static_cast<std::uint32_t>(ops_.size());
    info.queued_bytes = queued_bytes_;
  }

  void count(rig_loop_counts& counts) const {
    ++(phase_ == Phase::beginning           ? counts.handshaking
       : phase_ == Phase::closed            ? counts.undestroyed
       : phase_ == Phase::ended || closing_ ? counts.closing
                                            : counts.open);
    counts.registrations += stream_.lowest_layer().is_open() ? 1 : 0;
  }

 private:
  enum class Phase { beginning, open, ended, closed };
  struct Op {
    std::uint64_t token;
    std::vector<std::uint8_t> bytes;
  };

  void deadline_at(Clock::time_point when, rig_status status) {
    deadline_.expires_at(when);
    deadline_.async_wait(counted([this, status](const Failure& failure) {
      if (!failure && deadline_.expiry() <= Clock::now()) {
        end(asio::error::timed_out, status);
      }
    }));
  }

  void opened() {
    deadline_.cancel();
    {
      const std::lock_guard lock(mutex_);
      describe(stream_.native_handle(), context_.verifies, info_);
    }
    phase_ = Phase::open;
    connected_reported_ = true;
    callbacks_.connected(user_, nullptr);
    read();
    write();
  }

  void read() {
    if (phase_ != Phase::open || reading_ || peer_ended_ || shutting_down_ || (paused_ && !closing_)) {
      return;
    }
    reading_ = true;
    if (held_.has_value()) {  // by a handler of its own: `data` belongs into a turn
      post([this, held = *std::exchange(held_, std::nullopt)] { received(held.first, held.second); });
      return;
    }
    stream_.async_read_some(asio::buffer(in_),
                            counted([this](const Failure& failure, std::size_t count) { received(failure, count); }));
  }

  void received(const Failure& failure, std::size_t count) {
    reading_ = false;
    if (phase_ != Phase::open) {
      return;
    }
    if (closing_) {
      dropped(failure);
    } else if (paused_) {
      held_ = {failure, count};
    } else if (failure == asio::error::eof) {
      peer_ended_ = true;
      callbacks_.ended(user_);
    } else if (failure) {
      end(failure);
    } else {
      callbacks_.data(user_, in_.data(), count);
      read();
    }
  }

  // A close reads on while it flushes: it would not see otherwise that the peer is gone.
  void dropped(const Failure& failure) {
    peer_ended_ = failure == asio::error::eof;
    if (failure && !peer_ended_ && failure != asio::error::operation_aborted) {
      end(failure);
    }
    write();
    read();
  }

  // Asio wants one async_write at a time, and the bytes to stay where they are until it is done.
  void write() {
    if (phase_ != Phase::open || writing_) {
      return;
    }
    std::unique_lock lock(mutex_);
    if (ops_.empty()) {
      lock.unlock();
      shut_down();
      return;
    }
    writing_ = true;
    asio::async_write(stream_, asio::buffer(ops_.front().bytes),
                      counted([this](const Failure& failure, std::size_t count) {
                        writing_ = false;
                        if (failure) {
                          // The system tells a reset once: where the write was told, the read met an end
                          // (reports/findings/0018).
                          if (phase_ == Phase::ended && failure == asio::error::connection_reset) {
                            error_of(failure, {}, &*reason_);
                          }
                          end(failure);
                        }
                        report_front(count, failure ? &*reason_ : nullptr);
                        write();
                      }));
  }

  // A read that is under way would share the session with the shutdown, which neither survives in good order
  // (reports/findings/0017 and 0020): it is called back first.
  void shut_down() {
    if (!closing_ || shutting_down_) {
      return;
    }
    if (reading_) {
      Failure ignored;
      stream_.lowest_layer().cancel(ignored);
      return;
    }
    shutting_down_ = true;
    stream_.async_shutdown(counted([this](const Failure& failure) { end(failure); }));
  }

  void report_front(std::size_t count, const rig_error* error) {
    std::unique_lock lock(mutex_);
    const Op op = std::move(ops_.front());
    ops_.pop_front();
    queued_bytes_ -= op.bytes.size();
    lock.unlock();
    callbacks_.sent(user_, op.token, count, error);
  }

  // The one way to the end: what is under way comes back as soon as the socket is closed. Without a failure the end is
  // orderly. A socket that is given up is reset.
  void end(const Failure& failure, std::optional<rig_status> status = {}) {
    if (phase_ >= Phase::ended) {
      return;
    }
    {
      const std::lock_guard lock(mutex_);
      takes_ = false;
    }
    Failure ignored;
    if (failure) {
      error_of(failure, status, &reason_.emplace());
      if (phase_ == Phase::beginning && is_bad_record(failure)) {
        reason_->status = RIG_HANDSHAKE_FAILED;  // the peer has another key
      }
    }
    if (status.has_value()) {
      stream_.lowest_layer().set_option(tcp::socket::linger(true, 0), ignored);
    }
    phase_ = Phase::ended;
    deadline_.cancel();
    stream_.lowest_layer().close(ignored);
  }

  void finish() {
    if (phase_ != Phase::ended || under_way_ > 0) {
      return;
    }
    phase_ = Phase::closed;
    const rig_error* const reason = reason_.has_value() ? &*reason_ : nullptr;
    while (!ops_.empty()) {
      report_front(0, reason);
    }
    if (callbacks_.connected != nullptr && !connected_reported_) {
      callbacks_.connected(user_, reason);
    }
    if (callbacks_.closed != nullptr) {
      callbacks_.closed(user_, reason);
    }
    forget();
  }

  void forget() {
    if (phase_ == Phase::closed && destroyed_) {
      loop_.sockets.erase(shared_from_this());
    }
  }

  Loop& loop_;
  Context& context_;
  const rig_socket_config config_;
  asio::ssl::stream<tcp::socket> stream_;
  asio::steady_timer deadline_;
  const Clock::time_point handshake_until_;
  const std::shared_ptr<void> place_;  // its listener counts these
  rig_socket_callbacks callbacks_{};
  void* user_ = nullptr;
  Phase phase_ = Phase::beginning;
  int under_way_ = 0;
  bool destroyed_ = false, connected_reported_ = false, peer_ended_ = false;
  bool reading_ = false, writing_ = false, shutting_down_ = false, paused_ = false, closing_ = false;
  std::vector<std::uint8_t> in_ = std::vector<std::uint8_t>(16 * 1024);
  std::optional<std::pair<Failure, std::size_t>> held_;  // read before a pause, delivered behind it
  std::optional<rig_error> reason_;

  std::mutex mutex_;  // what verbs of any thread see
  bool takes_ = true;
  std::deque<Op> ops_;
  std::size_t queued_bytes_ = 0;
  rig_socket_info info_{};
};

}  // namespace asio_guest
