#include "harness/oracle/errno_table.h"

#include <array>
#include <cerrno>

#include "harness/base/check.h"

namespace rig {
namespace {

constexpr std::optional<Code> goes_on{};

#define RIG_ERRNO(number) number, #number

// Three rules hold in every row. What asks to come again, and a deadline, is never "the peer is gone". What says that
// the peer is gone is never a defect of the layer (internal). What fails for one connection, or one option, ends no
// more than that.
constexpr std::array rows{
    // connect
    ErrnoRow{SystemCall::connect, RIG_ERRNO(ECONNREFUSED), Code::refused, "RST in answer to the SYN: nobody listens"},
    ErrnoRow{SystemCall::connect, RIG_ERRNO(ETIMEDOUT), Code::timeout, "the kernel has tried as often as it may"},
    ErrnoRow{SystemCall::connect, RIG_ERRNO(ENETUNREACH), Code::unreachable, "no route to the network"},
    ErrnoRow{SystemCall::connect, RIG_ERRNO(EHOSTUNREACH), Code::unreachable, "no route to the host"},
    ErrnoRow{SystemCall::connect, RIG_ERRNO(ENETDOWN), Code::unreachable, "the interface is down"},
    ErrnoRow{SystemCall::connect, RIG_ERRNO(EADDRNOTAVAIL), Code::unreachable, "no local address leads there"},
    ErrnoRow{SystemCall::connect, RIG_ERRNO(ECONNRESET), Code::reset, "reset in the middle of the three-way handshake"},
    ErrnoRow{SystemCall::connect, RIG_ERRNO(ECONNABORTED), Code::reset, "ended by the kernel in the same place"},
    ErrnoRow{SystemCall::connect, RIG_ERRNO(EADDRINUSE), Code::address_in_use, "the local address is taken"},
    ErrnoRow{SystemCall::connect, RIG_ERRNO(EAGAIN), Code::refused_by_system,
             "no free local port; no event will say when there is one, so it is no would-block"},
    ErrnoRow{SystemCall::connect, RIG_ERRNO(EACCES), Code::refused_by_system, "a firewall, or a broadcast address"},
    ErrnoRow{SystemCall::connect, RIG_ERRNO(EPERM), Code::refused_by_system, "a firewall"},
    ErrnoRow{SystemCall::connect, RIG_ERRNO(ENOBUFS), Code::no_memory, "the kernel is out of buffers"},
    ErrnoRow{SystemCall::connect, RIG_ERRNO(ENOMEM), Code::no_memory, "the kernel is out of memory"},
    ErrnoRow{SystemCall::connect, RIG_ERRNO(EINVAL), Code::invalid_argument, "an address that cannot be connected to"},
    ErrnoRow{SystemCall::connect, RIG_ERRNO(EPROTO), Code::refused_by_system, "an ICMP answer that says nothing else"},
    ErrnoRow{SystemCall::connect, RIG_ERRNO(EOPNOTSUPP), Code::unsupported, "as EPROTO: the far host has no TCP"},

    // accept: whatever it says, it says of one connection that died in the backlog, or of a want that may pass
    ErrnoRow{SystemCall::accept, RIG_ERRNO(EAGAIN), goes_on, "another process took the connection"},
    ErrnoRow{SystemCall::accept, RIG_ERRNO(EINTR), goes_on, "a signal came"},
    ErrnoRow{SystemCall::accept, RIG_ERRNO(ECONNABORTED), goes_on, "the connection was reset while it waited"},
    ErrnoRow{SystemCall::accept, RIG_ERRNO(EMFILE), goes_on, "no descriptor is free: again later, and not at once"},
    ErrnoRow{SystemCall::accept, RIG_ERRNO(ENFILE), goes_on, "the same for the whole system"},
    ErrnoRow{SystemCall::accept, RIG_ERRNO(ENOBUFS), goes_on, "socket memory has run out: again later"},
    ErrnoRow{SystemCall::accept, RIG_ERRNO(ENOMEM), goes_on, "the same"},
    ErrnoRow{SystemCall::accept, RIG_ERRNO(EPERM), goes_on, "a firewall does not let this connection in"},
    ErrnoRow{SystemCall::accept, RIG_ERRNO(EPROTO), goes_on, "an error of the waiting connection"},
    ErrnoRow{SystemCall::accept, RIG_ERRNO(ENOPROTOOPT), goes_on, "the same: Linux hands it to accept"},
    ErrnoRow{SystemCall::accept, RIG_ERRNO(ENETDOWN), goes_on, "the same"},
    ErrnoRow{SystemCall::accept, RIG_ERRNO(ENETUNREACH), goes_on, "the same"},
    ErrnoRow{SystemCall::accept, RIG_ERRNO(EHOSTDOWN), goes_on, "the same"},
    ErrnoRow{SystemCall::accept, RIG_ERRNO(EHOSTUNREACH), goes_on, "the same"},
    ErrnoRow{SystemCall::accept, RIG_ERRNO(ENONET), goes_on, "the same"},
    ErrnoRow{SystemCall::accept, RIG_ERRNO(EOPNOTSUPP), goes_on, "the same"},
    ErrnoRow{SystemCall::accept, RIG_ERRNO(ETIMEDOUT), goes_on, "the same: a deadline of that connection"},

    // send
    ErrnoRow{SystemCall::send, RIG_ERRNO(EAGAIN), goes_on, "the buffer is full"},
    ErrnoRow{SystemCall::send, RIG_ERRNO(EINTR), goes_on, "a signal came before a byte was taken"},
    ErrnoRow{SystemCall::send, RIG_ERRNO(EPIPE), Code::reset, "the peer has reset, and somebody was told already"},
    ErrnoRow{SystemCall::send, RIG_ERRNO(ECONNRESET), Code::reset, "the peer has reset"},
    ErrnoRow{SystemCall::send, RIG_ERRNO(ECONNABORTED), Code::reset, "the kernel has ended the connection"},
    ErrnoRow{SystemCall::send, RIG_ERRNO(ENETRESET), Code::reset, "keep-alive found the peer gone"},
    ErrnoRow{SystemCall::send, RIG_ERRNO(ENOTCONN), Code::reset, "the connection that there was is over"},
    ErrnoRow{SystemCall::send, RIG_ERRNO(ETIMEDOUT), Code::timeout, "nothing was acknowledged for too long"},
    ErrnoRow{SystemCall::send, RIG_ERRNO(EHOSTUNREACH), Code::unreachable, "the route is gone: an ICMP answer"},
    ErrnoRow{SystemCall::send, RIG_ERRNO(ENETUNREACH), Code::unreachable, "the same"},
    ErrnoRow{SystemCall::send, RIG_ERRNO(ENETDOWN), Code::unreachable, "the interface is down"},
    ErrnoRow{SystemCall::send, RIG_ERRNO(ENOBUFS), Code::no_memory,
             "the kernel is out of buffers; no event says when there are some"},
    ErrnoRow{SystemCall::send, RIG_ERRNO(ENOMEM), Code::no_memory, "the same of memory"},
    ErrnoRow{SystemCall::send, RIG_ERRNO(EIO), Code::refused_by_system, "an error below TCP"},
    ErrnoRow{SystemCall::send, RIG_ERRNO(EPROTO), Code::refused_by_system, "an ICMP answer that says nothing else"},
    ErrnoRow{SystemCall::send, RIG_ERRNO(EACCES), Code::refused_by_system, "a firewall"},
    ErrnoRow{SystemCall::send, RIG_ERRNO(EPERM), Code::refused_by_system, "a firewall"},
    ErrnoRow{SystemCall::send, RIG_ERRNO(EINVAL), Code::invalid_argument, "the system does not say why"},
    ErrnoRow{SystemCall::send, RIG_ERRNO(EOPNOTSUPP), Code::unsupported, "a flag that this kind of socket lacks"},

    // receive
    ErrnoRow{SystemCall::receive, RIG_ERRNO(EAGAIN), goes_on, "nothing is there"},
    ErrnoRow{SystemCall::receive, RIG_ERRNO(EINTR), goes_on, "a signal came before a byte was there"},
    ErrnoRow{SystemCall::receive, RIG_ERRNO(ECONNRESET), Code::reset, "the peer has reset"},
    ErrnoRow{SystemCall::receive, RIG_ERRNO(ECONNABORTED), Code::reset, "the kernel has ended the connection"},
    ErrnoRow{SystemCall::receive, RIG_ERRNO(EPIPE), Code::reset, "the error of an earlier send"},
    ErrnoRow{SystemCall::receive, RIG_ERRNO(ENETRESET), Code::reset, "keep-alive found the peer gone"},
    ErrnoRow{SystemCall::receive, RIG_ERRNO(ENOTCONN), Code::reset, "the connection that there was is over"},
    ErrnoRow{SystemCall::receive, RIG_ERRNO(ECONNREFUSED), Code::refused, "RST in answer to the SYN"},
    ErrnoRow{SystemCall::receive, RIG_ERRNO(ETIMEDOUT), Code::timeout, "nothing was acknowledged for too long"},
    ErrnoRow{SystemCall::receive, RIG_ERRNO(EHOSTUNREACH), Code::unreachable, "the route is gone: an ICMP answer"},
    ErrnoRow{SystemCall::receive, RIG_ERRNO(ENETUNREACH), Code::unreachable, "the same"},
    ErrnoRow{SystemCall::receive, RIG_ERRNO(ENETDOWN), Code::unreachable, "the interface is down"},
    ErrnoRow{SystemCall::receive, RIG_ERRNO(ENOBUFS), Code::no_memory, "the kernel is out of buffers"},
    ErrnoRow{SystemCall::receive, RIG_ERRNO(ENOMEM), Code::no_memory, "the kernel is out of memory"},
    ErrnoRow{SystemCall::receive, RIG_ERRNO(EIO), Code::refused_by_system, "an error below TCP"},
    ErrnoRow{SystemCall::receive, RIG_ERRNO(EPROTO), Code::refused_by_system, "an ICMP answer that says nothing else"},
    ErrnoRow{SystemCall::receive, RIG_ERRNO(EINVAL), Code::invalid_argument, "the system does not say why"},
    ErrnoRow{SystemCall::receive, RIG_ERRNO(EOPNOTSUPP), Code::unsupported, "a flag that this kind of socket lacks"},

    // setsockopt: an option is a wish; what a connection promises does not hang on one
    ErrnoRow{SystemCall::set_option, RIG_ERRNO(ENOPROTOOPT), goes_on, "this system has no such option"},
    ErrnoRow{SystemCall::set_option, RIG_ERRNO(EINVAL), goes_on, "not this value, or not in this state"},
    ErrnoRow{SystemCall::set_option, RIG_ERRNO(EDOM), goes_on, "the value is too large"},
    ErrnoRow{SystemCall::set_option, RIG_ERRNO(ENOBUFS), goes_on, "no buffers for what is asked"},
    ErrnoRow{SystemCall::set_option, RIG_ERRNO(ENOMEM), goes_on, "no memory for what is asked"},
    ErrnoRow{SystemCall::set_option, RIG_ERRNO(EPERM), goes_on, "the option needs a right that is not there"},
    ErrnoRow{SystemCall::set_option, RIG_ERRNO(EOPNOTSUPP), goes_on, "not for this kind of socket"},
    ErrnoRow{SystemCall::set_option, RIG_ERRNO(ENOTCONN), goes_on, "the peer is gone; the next call says so"},

    // what makes a loop, a listener, a connection: where it is refused, nothing is made, and it may be asked again
    ErrnoRow{SystemCall::socket, RIG_ERRNO(EMFILE), Code::no_descriptors, "no descriptor is free"},
    ErrnoRow{SystemCall::socket, RIG_ERRNO(ENFILE), Code::no_descriptors, "the same for the whole system"},
    ErrnoRow{SystemCall::socket, RIG_ERRNO(ENOBUFS), Code::no_memory, "the kernel is out of buffers"},
    ErrnoRow{SystemCall::socket, RIG_ERRNO(ENOMEM), Code::no_memory, "the kernel is out of memory"},
    ErrnoRow{SystemCall::socket, RIG_ERRNO(EAFNOSUPPORT), Code::unsupported, "a system without IPv6, or without IPv4"},
    ErrnoRow{SystemCall::socket, RIG_ERRNO(EACCES), Code::refused_by_system, "a policy of the system"},
    ErrnoRow{SystemCall::bind, RIG_ERRNO(EADDRINUSE), Code::address_in_use, "somebody else listens there"},
    ErrnoRow{SystemCall::bind, RIG_ERRNO(EADDRNOTAVAIL), Code::invalid_argument,
             "the caller has named an address of no interface"},
    ErrnoRow{SystemCall::bind, RIG_ERRNO(EACCES), Code::refused_by_system, "a port below 1024 needs a right"},
    ErrnoRow{SystemCall::listen, RIG_ERRNO(EADDRINUSE), Code::address_in_use,
             "somebody else was first, who reuses the address as well"},
    ErrnoRow{SystemCall::epoll_create, RIG_ERRNO(EMFILE), Code::no_descriptors, "no descriptor is free"},
    ErrnoRow{SystemCall::epoll_create, RIG_ERRNO(ENFILE), Code::no_descriptors, "the same for the whole system"},
    ErrnoRow{SystemCall::epoll_create, RIG_ERRNO(ENOMEM), Code::no_memory, "the kernel is out of memory"},
    ErrnoRow{SystemCall::eventfd, RIG_ERRNO(EMFILE), Code::no_descriptors, "no descriptor is free"},
    ErrnoRow{SystemCall::eventfd, RIG_ERRNO(ENFILE), Code::no_descriptors, "the same for the whole system"},
    ErrnoRow{SystemCall::eventfd, RIG_ERRNO(ENOMEM), Code::no_memory, "the kernel is out of memory"},
};

#undef RIG_ERRNO

}  // namespace

std::span<const ErrnoRow> errno_rows() noexcept {
  return rows;
}

std::string_view call_name(SystemCall call) noexcept {
  switch (call) {
    case SystemCall::connect:
      return "connect";
    case SystemCall::accept:
      return "accept";
    case SystemCall::send:
      return "send";
    case SystemCall::receive:
      return "receive";
    case SystemCall::set_option:
      return "set_option";
    case SystemCall::socket:
      return "socket";
    case SystemCall::bind:
      return "bind";
    case SystemCall::listen:
      return "listen";
    case SystemCall::epoll_create:
      return "epoll_create";
    case SystemCall::eventfd:
      return "eventfd";
  }
  RIG_CHECK(false);
}

}  // namespace rig
