// What OpenSSL itself does behind its own close_notify: it takes in what comes, and writes nothing. So a BIO that
// answers such a write wrongly (seastar@d588d9b44) is never asked.
#include <array>
#include <cstring>

#include "backends/openssl/library.h"
#include "backends/openssl/tests/peers.h"

namespace rig::openssl {
namespace {

using namespace test;

constexpr std::array<unsigned char, 16> secret{1, 2, 3, 4};

unsigned client_key(SSL*, const char*, char* identity, unsigned, unsigned char* key, unsigned) noexcept {
  std::strcpy(identity, "peer");
  std::memcpy(key, secret.data(), secret.size());
  return secret.size();
}

unsigned server_key(SSL*, const char*, unsigned char* key, unsigned) noexcept {
  std::memcpy(key, secret.data(), secret.size());
  return secret.size();
}

// count_writes is a callback of a BIO, whose argument is the counter.
long count_writes(BIO* bio, int operation, const char*, std::size_t, int, long, int result, std::size_t*) noexcept {
  if (operation == BIO_CB_WRITE) {
    ++*reinterpret_cast<int*>(BIO_get_callback_arg(bio));
  }
  return result;
}

// Talk is two bare sessions over memory, whose client or server leaves first.
class Talk {
 public:
  Talk(TlsVersion version, Side leaver) : leaver_(leaver == Side::client ? 0 : 1) {
    std::array<Bio, 2> ways{Bio(BIO_new(BIO_s_mem())), Bio(BIO_new(BIO_s_mem()))};
    for (std::size_t i = 0; i < ways.size(); ++i) {
      BIO_set_mem_eof_return(ways[i].get(), -1);
      BIO_set_callback_arg(ways[i].get(), reinterpret_cast<char*>(&writes_[i]));
      BIO_set_callback_ex(ways[i].get(), count_writes);
    }
    for (std::size_t i = 0; i < ways.size(); ++i) {
      const SslContext context(SSL_CTX_new(i == 0 ? TLS_client_method() : TLS_server_method()));
      const int number = version == TlsVersion::tls13 ? TLS1_3_VERSION : TLS1_2_VERSION;
      SSL_CTX_set_min_proto_version(context.get(), number);
      SSL_CTX_set_max_proto_version(context.get(), number);
      SSL_CTX_set_cipher_list(context.get(), "PSK-AES128-GCM-SHA256");
      SSL_CTX_set_ciphersuites(context.get(), "TLS_AES_128_GCM_SHA256");
      SSL_CTX_set_options(context.get(), SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
      SSL_CTX_set_psk_client_callback(context.get(), i == 0 ? client_key : nullptr);
      SSL_CTX_set_psk_server_callback(context.get(), i == 0 ? nullptr : server_key);
      ends_[i].reset(SSL_new(context.get()));
      BIO_up_ref(ways[0].get());
      BIO_up_ref(ways[1].get());
      SSL_set_bio(ends_[i].get(), ways[1 - i].get(), ways[i].get());
      i == 0 ? SSL_set_connect_state(ends_[i].get()) : SSL_set_accept_state(ends_[i].get());
    }
    for (int step = 0; step < 8; ++step) {
      SSL_do_handshake(ends_[step % 2].get());
    }
    hear(0);  // tickets
  }

  SSL* leaver() { return ends_[leaver_].get(); }
  SSL* asker() { return ends_[1 - leaver_].get(); }
  int written() const { return writes_[leaver_]; }
  // hear reads all that has come, and answers what the last read said.
  int hear(std::size_t end) {
    std::array<char, 100> storage{};
    int result = 1;
    while (result > 0) {
      result = SSL_read(ends_[end].get(), storage.data(), storage.size());
    }
    return SSL_get_error(ends_[end].get(), result);
  }
  int leaver_hears() { return hear(leaver_); }
  void free_leaver() { ends_[leaver_].reset(); }

 private:
  std::size_t leaver_;
  std::array<int, 2> writes_{};
  std::array<Ssl, 2> ends_;
};

TEST(OpensslGoodbye, BehindItsCloseNotifyTheLibraryWritesNothing) {
  for (const TlsVersion version : both_versions) {
    for (const Side side : both_sides) {
      SCOPED_TRACE(std::string(version == TlsVersion::tls13 ? "1.3" : "1.2") + (side == Side::client ? " client" : ""));
      Talk talk(version, side);
      ASSERT_TRUE(SSL_is_init_finished(talk.leaver()) != 0 && SSL_is_init_finished(talk.asker()) != 0);
      const int before = talk.written();
      ASSERT_EQ(SSL_shutdown(talk.leaver()), 0);
      const int at_goodbye = talk.written();
      EXPECT_GT(at_goodbye, before) << "what is counted are the library's writes";
      // The peer asks for new keys or another handshake, which both demand an answer.
      if (version == TlsVersion::tls13) {
        ASSERT_EQ(SSL_key_update(talk.asker(), SSL_KEY_UPDATE_REQUESTED), 1);
        ASSERT_EQ(SSL_do_handshake(talk.asker()), 1);
      } else {
        ASSERT_EQ(SSL_renegotiate(talk.asker()), 1);
        SSL_do_handshake(talk.asker());
      }
      EXPECT_EQ(talk.leaver_hears(), SSL_ERROR_WANT_READ);
      if (version == TlsVersion::tls13) {
        EXPECT_EQ(SSL_get_key_update_type(talk.leaver()), SSL_KEY_UPDATE_NOT_REQUESTED) << "it owes an answer";
      }
      EXPECT_EQ(talk.written(), at_goodbye);
      // Nor is there an alert for what is no record at all.
      constexpr std::array<unsigned char, 64> rubbish{0xff, 0xff, 0xff};
      BIO_write(SSL_get_rbio(talk.leaver()), rubbish.data(), rubbish.size());
      EXPECT_EQ(talk.leaver_hears(), SSL_ERROR_SSL);
      talk.free_leaver();
      EXPECT_EQ(talk.written(), at_goodbye);
      ERR_clear_error();
    }
  }
}

}  // namespace
}  // namespace rig::openssl
