#include "harness/scenario/scenario.h"

#include <array>

#include "harness/base/check.h"

namespace rig {
namespace {

// One table per enumeration serves both directions, and the lists of what could stand somewhere.
template <class Enum>
constexpr std::array<Word<Enum>, 0> table{};

template <>
constexpr std::array table<Side>{
    Word{Side::client, "client"},
    Word{Side::server, "server"},
};

template <>
constexpr std::array table<World>{
    Word{World::loopback, "loopback"},
    Word{World::lab, "lab"},
};

template <>
constexpr std::array table<Auth>{
    Word{Auth::psk, "psk"},
    Word{Auth::certificate, "certificate"},
};

template <>
constexpr std::array table<Size>{
    Word{Size::tiny, "tiny"},
    Word{Size::quick, "quick"},
    Word{Size::full, "full"},
};

template <>
constexpr std::array table<TlsChoice>{
    Word{TlsChoice::none, "none"},
    Word{TlsChoice::tls12, "1.2"},
    Word{TlsChoice::tls13, "1.3"},
};

template <>
constexpr std::array table<PollerChoice>{
    Word{PollerChoice::epoll, "epoll"},
    Word{PollerChoice::poll, "poll"},
    Word{PollerChoice::select, "select"},
};

template <>
constexpr std::array table<Peer>{
    Word{Peer::subject, "subject"},
    Word{Peer::plaintext, "plaintext"},
    Word{Peer::plaintext_client, "plaintext_client"},
    Word{Peer::nobody, "nobody"},
    Word{Peer::deaf, "deaf"},
};

template <>
constexpr std::array table<Event>{
    Word{Event::accepted, "accepted"}, Word{Event::connected, "connected"}, Word{Event::data, "data"},
    Word{Event::ended, "ended"},       Word{Event::sent, "sent"},           Word{Event::writable, "writable"},
    Word{Event::closed, "closed"},
};

template <>
constexpr std::array table<Verb>{
    Word{Verb::close_graceful, "close_graceful"},
    Word{Verb::close_abort, "close_abort"},
    Word{Verb::half_close, "half_close"},
    Word{Verb::destroy, "destroy"},
    Word{Verb::pause, "pause"},
    Word{Verb::resume, "resume"},
    Word{Verb::renegotiate, "renegotiate"},
    Word{Verb::update_keys, "update_keys"},
    Word{Verb::echo, "echo"},
    Word{Verb::echo_elsewhere, "echo_elsewhere"},
    Word{Verb::destroy_other, "destroy_other"},
    Word{Verb::stop_listening, "stop_listening"},
    Word{Verb::say, "say"},
    Word{Verb::open_another, "open_another"},
    Word{Verb::connect, "connect"},
    Word{Verb::send, "send"},
    Word{Verb::await, "await"},
    Word{Verb::align, "align"},
    Word{Verb::relay_stall, "relay_stall"},
    Word{Verb::relay_flow, "relay_flow"},
    Word{Verb::relay_reset, "relay_reset"},
    Word{Verb::relay_fin, "relay_fin"},
};

template <>
constexpr std::array table<Condition>{
    Word{Condition::connected, "connected"},
    Word{Condition::established, "established"},
    Word{Condition::sent, "sent"},
    Word{Condition::received, "received"},
    Word{Condition::pending, "pending"},
    Word{Condition::handshakes, "handshakes"},
    Word{Condition::key_updates, "key_updates"},
    Word{Condition::ended, "ended"},
    Word{Condition::closed, "closed"},
    Word{Condition::peer_closed, "peer_closed"},
};

template <>
constexpr std::array table<Where>{
    Word{Where::loop, "loop"},
    Word{Where::beside, "beside"},
};

template <class Enum>
constexpr bool in_order() {
  for (std::size_t i = 0; i < table<Enum>.size(); ++i) {
    if (static_cast<std::size_t>(table<Enum>[i].value) != i) {
      return false;
    }
  }
  return !table<Enum>.empty();
}

template <class Enum>
std::string_view word_of(Enum value) noexcept {
  static_assert(in_order<Enum>(), "the table has each value once, in the order of the enumeration");
  const auto index = static_cast<std::size_t>(value);
  RIG_CHECK(index < table<Enum>.size());
  return table<Enum>[index].text;
}

}  // namespace

template <class Enum>
std::span<const Word<Enum>> words() noexcept {
  return table<Enum>;
}

template <class Enum>
std::optional<Enum> from_word(std::string_view text) noexcept {
  for (const auto& one : table<Enum>) {
    if (one.text == text) {
      return one.value;
    }
  }
  return std::nullopt;
}

#define RIG_WORDS(Enum)                                                         \
  std::string_view word(Enum value) noexcept {                                  \
    return word_of(value);                                                      \
  }                                                                             \
  template std::optional<Enum> from_word<Enum>(std::string_view text) noexcept; \
  template std::span<const Word<Enum>> words<Enum>() noexcept

RIG_WORDS(Side);
RIG_WORDS(World);
RIG_WORDS(Auth);
RIG_WORDS(Size);
RIG_WORDS(TlsChoice);
RIG_WORDS(PollerChoice);
RIG_WORDS(Peer);
RIG_WORDS(Event);
RIG_WORDS(Verb);
RIG_WORDS(Condition);
RIG_WORDS(Where);

#undef RIG_WORDS

bool plays(Peer peer, Side side) noexcept {
  return side == Side::client ? peer != Peer::plaintext_client
                              : peer == Peer::subject || peer == Peer::plaintext_client;
}

bool plays(const Settings& settings, std::uint32_t index, Side side) noexcept {
  const bool is_refused = settings.connections - index <= settings.refused;
  return plays(settings.peer, side) && (side == Side::client || !is_refused);
}

std::string cell_name(const Cell& cell) {
  std::string name = cell.client + "~" + cell.server + ".";
  name += cell.tls == TlsChoice::tls12 ? "tls12" : cell.tls == TlsChoice::tls13 ? "tls13" : "plain";
  name += "." + std::string(word(cell.poller)) + (cell.fast_track ? ".fast_on" : ".fast_off");
  if (cell.subject != "house") {
    const std::string file = cell.subject.substr(cell.subject.rfind('/') + 1);
    name += "." + (file.ends_with(".so") ? file.substr(0, file.size() - 3) : file);
  }
  if (cell.world != World::loopback) {
    name += "." + std::string(word(cell.world));
  }
  return name;
}

}  // namespace rig
