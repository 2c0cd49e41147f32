// TcpSocket: one end of a TCP connection, or a listener, as Linux has it.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "harness/lab/kernel/address.h"
#include "harness/lab/kernel/file.h"
#include "harness/lab/kernel/wire.h"

namespace rig::lab {

// TcpState is what of the protocol's states matters here. A connection is `connected` until both FINs have arrived, or
// an RST: then it is `closed`.
enum class TcpState : std::uint8_t { closed, listening, connecting, connected };

// Progress is Linux's socket state: what connect() answers by.
enum class Progress : std::uint8_t { unconnected, connecting, connected };

// SocketOptions are the options that have an effect, and the others.
struct SocketOptions {
  int send_buffer = 16384;  // as SO_SNDBUF answers it
  int recv_buffer = 131072;
  bool send_buffer_set = false;
  bool recv_buffer_set = false;
  bool linger = false;
  int linger_s = 0;
  bool cork = false;
  std::int64_t send_timeout_us = 0;  // 0: none
  std::int64_t recv_timeout_us = 0;
  bool reuse_address = false;
  bool v6_only = false;
  std::map<std::pair<int, int>, int> others;  // by level and name: kept and answered, without effect
};

// TcpSocket is one socket. Its calls answer as the kernel's do.
class TcpSocket final : public File {
 public:
  explicit TcpSocket(int family);

  std::uint32_t ready() override;
  Answer read(const Transfer& transfer) override { return recv(transfer); }
  Answer write(const Transfer& transfer) override { return send(transfer); }
  Answer control(unsigned long request, void* argument) override;
  void released() override;
  TcpSocket* tcp() override { return this; }
  Place place() const override;
  std::string describe() const override;

  Answer bind(const Address& address);
  Answer listen(int backlog);
  // accept answers through `accepted`, which nobody refers to yet.
  Answer accept(bool waits, Struck& struck, TcpSocket*& accepted);
  Answer connect(const Address& address, bool waits, Struck& struck);
  Answer send(const Transfer& transfer);
  Answer recv(const Transfer& transfer);
  Answer shutdown(int how);
  // close is what the last close of a descriptor does before it returns: a linger may wait.
  void linger_at_close();
  Answer get_option(int level, int name, void* value, socklen_t* bytes);
  Answer set_option(int level, int name, const void* value, socklen_t bytes);
  Answer peer_name(sockaddr* to, socklen_t* bytes) const;

  // What a wire tells its ends.
  void on_data();
  void on_room();
  void on_fin();
  void on_fin_arrived();
  void on_reset();
  bool refuses_data() const;

  // syn is what a connect does when it reaches the other side: false: the listener has no room.
  bool syn();
  // fail ends a connect that is under way, or a connection, with that errno.
  void fail(int errno_value);

  bool occupies(std::uint16_t port) const { return bound && local.port == port; }

  const int family;
  SocketOptions options;
  TcpState state = TcpState::closed;
  Progress progress = Progress::unconnected;
  Address local;
  Address remote;
  bool bound = false;
  int error = 0;              // SO_ERROR
  unsigned shut = 0;          // 1: receiving, 2: sending
  bool fin_received = false;  // Linux's SOCK_DONE
  bool wants_room = false;    // Linux's SOCK_NOSPACE
  std::shared_ptr<Wire> wire;
  int side = 0;
  TcpSocket* listener = nullptr;  // whose queue this socket is in
  std::deque<TcpSocket*> queue;
  std::size_t queue_max = 0;

 private:
  std::size_t unsent();
  Way& out() { return wire->way(side); }
  Way& in() { return wire->way(1 - side); }
  bool may_block() const;  // the other end could be slow: of what is reset, all has come
  bool can_send() const { return state == TcpState::connected && (shut & 2) == 0; }
  int take_error();
  Answer broken_pipe(int flags, int errno_value);
  Answer wait_connected(const Transfer& transfer, std::int64_t deadline_ns);
  bool wants_more(const Transfer& transfer, std::size_t available);
  std::size_t write_limit(const Transfer& transfer, std::size_t left);
  bool heed_stop(const Transfer& transfer, bool sends);
  void disconnect();
  void become_closed();
  void empty_queue();
  void establish(TcpSocket& listening);
  void set_rooms();
  void set_buffer(bool sending, int size);
  bool conflicts(const TcpSocket& other, const Address& address) const;
  std::uint16_t free_port();
  bool bound_by_user_ = false;
};

// send_syns tries the connects that are due.
void send_syns();

// find_listener answers who listens at an address, or null.
TcpSocket* find_listener(const Address& address);

// raise_sigpipe raises SIGPIPE on the calling thread, as a write without a reader does.
void raise_sigpipe();

}  // namespace rig::lab
