// The OpenSSL headers as this folder uses them, owners for its objects, and the guard of its ambient state. Private to
// this folder.
#pragma once

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cerrno>
#include <memory>

#include "harness/base/owned.h"

namespace rig::openssl {

// SslContext, and all others down to PrivateKey, are the library objects of these names, owned.
using SslContext = std::unique_ptr<SSL_CTX, Free<SSL_CTX_free>>;
using Ssl = std::unique_ptr<SSL, Free<SSL_free>>;
using SslSession = std::unique_ptr<SSL_SESSION, Free<SSL_SESSION_free>>;
using Bio = std::unique_ptr<BIO, Free<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using PrivateKey = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;

// Ambient guards the state that the library keeps per thread and not per connection: its error queue, and errno. What
// is found in the queue at entry is a stranger's and would turn a would-block into a failure (nginx@9af7dc2b4); at exit
// nothing of ours is left in it, and errno is as it was. Peeking first costs next to nothing; clearing does not.
// A function that reports an error takes it out of the queue before the guard ends. Thread: the thread it lives on.
class Ambient {
 public:
  Ambient() noexcept : errno_(errno) { clear(); }
  ~Ambient() {
    clear();
    errno = errno_;
  }
  Ambient(const Ambient&) = delete;
  Ambient& operator=(const Ambient&) = delete;

  // clear empties the queue. It never stands between a call of the library and the reading of its outcome.
  static void clear() noexcept {
    if (ERR_peek_error() != 0) {
      ERR_clear_error();
    }
  }

 private:
  int errno_;
};

}  // namespace rig::openssl
