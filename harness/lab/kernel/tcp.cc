// The data path of a TCP socket. Source: Linux's net/ipv4/tcp.c (tcp_poll, tcp_sendmsg_locked, tcp_recvmsg_locked,
// tcp_close) and tcp_input.c (tcp_reset, tcp_fin), in their order of looking at things.
#include "harness/lab/kernel/tcp.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <csignal>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "harness/base/check.h"
#include "harness/lab/kernel/state.h"
#include "harness/lab/sanitizer.h"

namespace rig::lab {
namespace {

std::int64_t deadline_of(std::int64_t timeout_us) {
  return timeout_us == 0 ? never : deadline_after(timeout_us * 1000);
}

// skip takes `count` bytes from the front of buffers.
void skip(std::span<iovec>& pieces, std::size_t count) {
  while (!pieces.empty() && count >= pieces.front().iov_len) {
    count -= pieces.front().iov_len;
    pieces = pieces.subspan(1);
  }
  if (count > 0) {
    pieces.front().iov_base = static_cast<char*>(pieces.front().iov_base) + count;
    pieces.front().iov_len -= count;
  }
}

}  // namespace

void raise_sigpipe() {
  const Bypass bypass;
  std::raise(SIGPIPE);
}

TcpSocket::TcpSocket(int socket_family)
    : File("socket"), family(socket_family), local(any_address(family)), remote(any_address(family)) {
  kernel().sockets.push_back(this);
}

std::string TcpSocket::describe() const {
  std::string words = File::describe() + " (" + text(local);
  if (state == TcpState::listening) {
    return words + ", listening)";
  }
  return remote.port == 0 ? words + ")" : words + " to " + text(remote) + ")";
}

Place TcpSocket::place() const {
  Place here;
  const bool connecting = state == TcpState::connecting;
  if (wire != nullptr) {
    here = wire->place(side);
  } else if (const auto named = kernel().connections.find(connecting ? remote.port : local.port);
             named != kernel().connections.end()) {
    here.connection = named->second;
    here.side = connecting ? FaultSide::client : FaultSide::server;
  }
  here.may_block = may_block();
  return here;
}

bool TcpSocket::may_block() const {
  return error == 0 && (state == TcpState::connected || state == TcpState::listening);
}

std::uint32_t TcpSocket::ready() {
  if (state == TcpState::listening) {
    return queue.empty() ? 0 : ready_in;
  }
  std::uint32_t events = 0;
  if (shut == 3 || state == TcpState::closed) {
    events |= EPOLLHUP;
  }
  if ((shut & 1) != 0) {
    events |= ready_in | EPOLLRDHUP;
  }
  if (state != TcpState::connecting) {
    if (wire != nullptr && in().stream.readable() > 0) {
      events |= ready_in;
    }
    if ((shut & 2) != 0 || wire == nullptr || out().stream.is_writable()) {
      events |= ready_out;
    } else {
      wants_room = true;
    }
  }
  return error != 0 ? events | EPOLLERR : events;
}

int TcpSocket::take_error() {
  return std::exchange(error, 0);
}

// broken_pipe is Linux's sk_stream_error: the pending error goes first, and then there is no signal.
Answer TcpSocket::broken_pipe(int flags, int errno_value) {
  if (errno_value == EPIPE) {
    errno_value = take_error();
    errno_value = errno_value != 0 ? errno_value : EPIPE;
  }
  if (errno_value == EPIPE && (flags & MSG_NOSIGNAL) == 0) {
    raise_sigpipe();
  }
  return -errno_value;
}

Answer TcpSocket::wait_connected(const Transfer& transfer, std::int64_t deadline_ns) {
  while (!can_send() || wire == nullptr) {
    if (const int pending = take_error()) {
      return -pending;
    }
    if (state != TcpState::connecting) {
      return -EPIPE;
    }
    if (!transfer.waits) {
      return -EAGAIN;
    }
    if (kernel().faults.interrupts(transfer.struck)) {
      return -EINTR;
    }
    if (!kernel().wait(transfer.op, *this, deadline_ns)) {
      return -EAGAIN;
    }
  }
  return 0;
}

// write_limit is how much the next copy may take. By chance the buffer is full earlier than it is by our count, which
// Linux's is as well: it counts the memory of packets, and a buffer that was full may have drained by the end of the
// call. So a call is cut short only if something is queued, or if it is large beside the buffer.
std::size_t TcpSocket::write_limit(const Transfer& transfer, std::size_t left) {
  Struck& struck = transfer.struck;
  const ByteStream& stream = out().stream;
  std::size_t most = std::min(left, struck.bytes_max);
  const bool lax = kernel().profile == Profile::adversarial;
  if (Faults::has_chance(struck, FaultKind::short_write) && most > 1 &&
      (lax || stream.queued() > 0 || most > stream.send_room / 3)) {
    const std::size_t room = std::min(most, std::max<std::size_t>(stream.free(), 1));
    if (room > 1) {
      most = Faults::draw_cut(room);
      struck.bytes_max = most;
      kernel().faults.take(struck, static_cast<std::int64_t>(most));
    }
  }
  return most;
}

// heed_stop cuts a call short at the next listed stop of its stream; false: the call answers that it would block.
bool TcpSocket::heed_stop(const Transfer& transfer, bool sends) {
  if ((transfer.flags & MSG_PEEK) != 0) {
    return true;
  }
  const ByteStream& stream = sends ? out().stream : in().stream;
  const std::uint64_t at = sends ? stream.written : stream.taken;
  const std::size_t bytes = sends ? transfer.bytes : std::min(transfer.bytes, stream.readable());
  // A block is a wire that is slow. Behind a reset nothing is to come any more, and all that came can be read.
  const bool never_blocks = transfer.waits || !may_block();
  const Faults::Stop stop =
      kernel().faults.stop_at(wire->place(sends ? side : 1 - side), sends, at, bytes, never_blocks);
  transfer.struck.bytes_max = std::min(transfer.struck.bytes_max, stop.blocks ? SIZE_MAX : stop.bytes_max);
  transfer.struck.blocked = stop.blocks;
  return !stop.blocks;
}

Answer TcpSocket::send(const Transfer& transfer) {
  if ((transfer.flags & ~(MSG_NOSIGNAL | MSG_DONTWAIT | MSG_MORE)) != 0) {
    refuse("send", "of the flags it has MSG_NOSIGNAL, MSG_DONTWAIT and MSG_MORE");
  }
  const std::int64_t deadline_ns = deadline_of(options.send_timeout_us);
  if (!can_send() || wire == nullptr) {
    if (const Answer answer = wait_connected(transfer, deadline_ns); answer < 0) {
      return broken_pipe(transfer.flags, static_cast<int>(-answer));
    }
  }
  std::vector<iovec> pieces(transfer.pieces.begin(), transfer.pieces.end());
  std::span<iovec> left(pieces);
  std::size_t done = 0;
  const bool more = (transfer.flags & MSG_MORE) != 0;
  if (wire != nullptr && !heed_stop(transfer, true)) {
    return -EAGAIN;
  }
  while (done < transfer.bytes) {
    if (error != 0 || (shut & 2) != 0 || state != TcpState::connected) {
      return done > 0 ? static_cast<Answer>(done) : broken_pipe(transfer.flags, EPIPE);
    }
    ByteStream& stream = out().stream;
    const std::size_t count = stream.write(left, write_limit(transfer, transfer.bytes - done), true);
    if (!Faults::has_chance(transfer.struck, FaultKind::interrupted) || done + count > 0) {
      transfer.struck.chance.reset();
    }
    if (count > 0) {
      done += count;
      skip(left, count);
      wire->send(side, more && done == transfer.bytes, options.cork);
      if (transfer.struck.bytes_max != SIZE_MAX) {
        break;
      }
      continue;
    }
    wants_room = true;
    wire->flush(side);
    if (stream.free() > 0) {
      continue;
    }
    const bool interrupted = transfer.waits && kernel().faults.interrupts(transfer.struck);
    if (!transfer.waits || interrupted || !kernel().wait(transfer.op, *this, deadline_ns)) {
      return done > 0 ? static_cast<Answer>(done) : (interrupted ? -EINTR : -EAGAIN);
    }
  }
  return static_cast<Answer>(done);
}

// wants_more says that a receive goes on after it has got something: MSG_WAITALL of a call that may wait.
bool TcpSocket::wants_more(const Transfer& transfer, std::size_t done) {
  return (transfer.flags & (MSG_WAITALL | MSG_PEEK)) == MSG_WAITALL && transfer.waits && done < transfer.bytes &&
         transfer.struck.bytes_max == SIZE_MAX;
}

Answer TcpSocket::recv(const Transfer& transfer) {
  if ((transfer.flags & ~(MSG_DONTWAIT | MSG_PEEK | MSG_WAITALL | MSG_NOSIGNAL)) != 0) {
    refuse("recv", "of the flags it has MSG_DONTWAIT, MSG_PEEK and MSG_WAITALL");
  }
  if (state == TcpState::listening) {
    return -ENOTCONN;
  }
  const std::int64_t deadline_ns = deadline_of(options.recv_timeout_us);
  Struck& struck = transfer.struck;
  std::vector<iovec> pieces(transfer.pieces.begin(), transfer.pieces.end());
  std::span<iovec> left(pieces);
  std::size_t done = 0;
  while (true) {
    if (wire != nullptr && in().stream.readable() > 0) {
      if (done == 0 && !heed_stop(transfer, false)) {
        return -EAGAIN;
      }
      ByteStream& stream = in().stream;
      std::size_t most = std::min(transfer.bytes - done, struck.bytes_max);
      const std::size_t available = std::min(most, stream.readable());
      if (Faults::has_chance(struck, FaultKind::short_read) && available > 1) {
        // Strict: as if the segment that arrived last had not come yet.
        const std::size_t before = stream.last_arrival > stream.taken ? stream.last_arrival - stream.taken : 0;
        const bool lax = kernel().profile == Profile::adversarial;
        const std::size_t cut = lax ? Faults::draw_cut(available) : before;
        if (cut > 0 && cut < available) {
          most = struck.bytes_max = cut;
          kernel().faults.take(struck, static_cast<std::int64_t>(cut));
        }
      }
      const bool peek = (transfer.flags & MSG_PEEK) != 0;
      const std::size_t count = stream.read(left, most, peek);
      done += count;
      struck.chance.reset();
      if (!peek) {
        wire->deliver();
      }
      if (!wants_more(transfer, done)) {
        return static_cast<Answer>(done);
      }
      skip(left, count);
      continue;
    }
    if (done > 0 && (fin_received || error != 0 || (shut & 1) != 0 || state == TcpState::closed)) {
      return static_cast<Answer>(done);
    }
    if (fin_received) {
      return 0;
    }
    if (const int pending = take_error()) {
      return -pending;
    }
    if ((shut & 1) != 0) {
      return 0;
    }
    if (state == TcpState::closed) {
      return -ENOTCONN;
    }
    if (!transfer.waits) {
      return -EAGAIN;
    }
    const bool interrupted = kernel().faults.interrupts(struck);
    if (interrupted || !kernel().wait(transfer.op, *this, deadline_ns)) {
      return done > 0 ? static_cast<Answer>(done) : (interrupted ? -EINTR : -EAGAIN);
    }
  }
}

Answer TcpSocket::control(unsigned long request, void* argument) {
  if (request != FIONREAD && request != SIOCOUTQ) {
    refuse("ioctl", "of the requests a virtual socket has FIONBIO, FIONREAD and SIOCOUTQ");
  }
  if (state == TcpState::listening) {
    return -EINVAL;
  }
  std::size_t count = 0;
  if (wire != nullptr && request == FIONREAD) {
    count = in().stream.readable();
  } else if (request == SIOCOUTQ) {
    count = unsent();
  }
  *static_cast<int*>(argument) = static_cast<int>(count);
  user_writes(argument, sizeof(int));
  return 0;
}

void TcpSocket::on_data() {
  wake(EPOLLIN | EPOLLPRI | EPOLLRDNORM | EPOLLRDBAND);
}

void TcpSocket::on_room() {
  if (wants_room && out().stream.is_writable()) {
    wants_room = false;
    wake(EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND);
  }
}

void TcpSocket::on_fin() {
  fin_received = true;
  shut |= 1;
  if (out().fin.arrived) {
    become_closed();
  }
  wake(ready_all);
}

void TcpSocket::on_fin_arrived() {
  if (fin_received) {
    become_closed();
    wake(ready_all);
  }
}

void TcpSocket::on_reset() {
  if (state == TcpState::closed) {
    return;
  }
  // Linux: EPIPE in CLOSE_WAIT.
  fail(fin_received && !out().fin.sent ? EPIPE : ECONNRESET);
}

// A FIN counts as a byte, and what a reset has lost stays unacknowledged.
std::size_t TcpSocket::unsent() {
  if (wire == nullptr) {
    return 0;
  }
  const Way& way = out();
  return way.stream.queued() + way.stream.lost + (way.fin.sent && !way.fin.arrived ? 1 : 0);
}

void TcpSocket::fail(int errno_value) {
  error = errno_value;
  become_closed();
  if (wire != nullptr) {
    out().stream.drop_unarrived();
  }
  wake(ready_all);
}

void TcpSocket::become_closed() {
  state = TcpState::closed;
  shut = 3;
}

// Linux answers data with an RST once both directions were shut down here.
bool TcpSocket::refuses_data() const {
  return state == TcpState::closed || (shut == 3 && wire->way(side).fin.sent);
}

}  // namespace rig::lab
