// An echo over TLS with Asio, server and client in one process: two threads on one io_context, a hundred messages, an
// orderly end. An ordinary program: it knows nothing of the lab.
//
//   asio_echo SERVER.pem SERVER.key.pem CA.pem
#include <asio.hpp>
#include <asio/ssl.hpp>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <functional>
#include <string>
#include <thread>
#include <utility>

namespace {

using asio::ip::tcp;
using TlsStream = asio::ssl::stream<tcp::socket>;
using Error = asio::error_code;

constexpr std::size_t messages = 100;
constexpr std::size_t chunk_bytes = 4096;

// message_of makes message `number`: from one byte to more than a TLS record holds.
std::string message_of(std::size_t number) {
  std::string text(1 + number * 1973 % 20'000, '\0');
  for (std::size_t at = 0; at < text.size(); ++at) {
    text[at] = static_cast<char>(number * 131 + at * 7);
  }
  return text;
}

// Side is one end of the connection: its handlers run one after the other, on whichever thread.
class Side {
 public:
  bool orderly() const { return orderly_; }

 protected:
  Side(const char* name, asio::io_context& io, asio::ssl::context& tls) : stream_(io, tls), name_(name) {}
  ~Side() = default;

  // connected begins the handshake; `go_on` follows it.
  void connected(TlsStream::handshake_type role, std::function<void()> go_on) {
    stream_.lowest_layer().set_option(tcp::no_delay(true));
    stream_.async_handshake(role, [this, go_on = std::move(go_on)](const Error& error) {
      if (!failed(error, "handshake")) {
        go_on();
      }
    });
  }

  void shut_down() {
    stream_.async_shutdown([this](const Error& error) {
      if (!failed(error, "shutdown")) {
        orderly_ = true;
        close();
      }
    });
  }

  // failed is true if `error` is one; it says so and gives the connection up.
  bool failed(const Error& error, const char* where) {
    if (error) {
      std::fprintf(stderr, "asio_echo: %s, %s: %s\n", name_, where, error.message().c_str());
      close();
    }
    return static_cast<bool>(error);
  }

  void close() {
    Error ignored;
    stream_.lowest_layer().close(ignored);
  }

  TlsStream stream_;

 private:
  const char* name_;
  bool orderly_ = false;
};

// Server takes one connection and sends back what comes, until the peer says that it is done.
class Server : public Side {
 public:
  Server(asio::io_context& io, asio::ssl::context& tls)
      : Side("server", io, tls), acceptor_(io, tcp::endpoint(asio::ip::address_v4::loopback(), 0)) {}

  tcp::endpoint address() const { return acceptor_.local_endpoint(); }

  void start() {
    acceptor_.async_accept(stream_.lowest_layer(), [this](const Error& error) {
      acceptor_.close();
      if (!failed(error, "accept")) {
        connected(TlsStream::server, [this] { read(); });
      }
    });
  }

 private:
  void read() {
    stream_.async_read_some(asio::buffer(chunk_), [this](const Error& error, std::size_t size) {
      if (error == asio::error::eof) {
        shut_down();
      } else if (!failed(error, "read")) {
        write(size);
      }
    });
  }

  void write(std::size_t size) {
    asio::async_write(stream_, asio::buffer(chunk_, size), [this](const Error& error, std::size_t) {
      if (!failed(error, "write")) {
        read();
      }
    });
  }

  tcp::acceptor acceptor_;
  char chunk_[chunk_bytes];
};

// Client sends one message after the other, each when the one before has come back.
class Client : public Side {
 public:
  Client(asio::io_context& io, asio::ssl::context& tls) : Side("client", io, tls) {
    stream_.set_verify_mode(asio::ssl::verify_peer);
    stream_.set_verify_callback(asio::ssl::host_name_verification("localhost"));
  }

  std::size_t echoed() const { return echoed_; }

  void start(const tcp::endpoint& server) {
    stream_.lowest_layer().async_connect(server, [this](const Error& error) {
      if (!failed(error, "connect")) {
        connected(TlsStream::client, [this] { next(); });
      }
    });
  }

 private:
  void next() {
    if (echoed_ == messages) {
      shut_down();
      return;
    }
    sent_ = message_of(echoed_);
    came_.assign(sent_.size(), '\0');
    asio::async_write(stream_, asio::buffer(sent_), [this](const Error& error, std::size_t) {
      if (!failed(error, "write")) {
        read();
      }
    });
  }

  void read() {
    asio::async_read(stream_, asio::buffer(came_), [this](const Error& error, std::size_t) {
      if (failed(error, "read")) {
        return;
      }
      if (came_ != sent_) {
        std::fprintf(stderr, "asio_echo: message %zu came back changed\n", echoed_);
        close();
        return;
      }
      ++echoed_;
      next();
    });
  }

  std::string sent_;
  std::string came_;
  std::size_t echoed_ = 0;
};

int echo(const char* certificate, const char* key, const char* authority) {
  asio::ssl::context server_tls(asio::ssl::context::tls_server);
  server_tls.use_certificate_chain_file(certificate);
  server_tls.use_private_key_file(key, asio::ssl::context::pem);
  asio::ssl::context client_tls(asio::ssl::context::tls_client);
  client_tls.load_verify_file(authority);

  asio::io_context io(2);
  Server server(io, server_tls);
  Client client(io, client_tls);
  server.start();
  client.start(server.address());
  std::thread first([&io] { io.run(); });
  std::thread second([&io] { io.run(); });
  first.join();
  second.join();

  std::printf("asio_echo: %zu of %zu messages came back, %s end\n", client.echoed(), messages,
              client.orderly() && server.orderly() ? "orderly" : "no orderly");
  return client.echoed() == messages && client.orderly() && server.orderly() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: asio_echo SERVER.pem SERVER.key.pem CA.pem\n");
    return 2;
  }
  try {
    return echo(argv[1], argv[2], argv[3]);
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "asio_echo: %s\n", problem.what());
    return 1;
  }
}
