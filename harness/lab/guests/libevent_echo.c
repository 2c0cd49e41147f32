// An echo over TLS with libevent's bufferevents, server and client in one process, each with a loop in a thread of its
// own: a hundred messages, an orderly end. An ordinary program: it knows nothing of the lab.
//
//   libevent_echo SERVER.pem SERVER.key.pem CA.pem
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <event2/thread.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { messages = 100, message_bytes_max = 20000 };
static const int stream_options = BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE;

// side is one loop with one connection.
struct side {
  const char* name;
  struct event_base* base;
  struct evconnlistener* listener;  // of the server
  struct bufferevent* stream;
  SSL_CTX* tls;
  size_t echoed;  // of the client: messages that came back
  bool said_all;  // of the client: close_notify is sent
  bool orderly;
};

// fill_message makes message `number`, and answers how long it is: from one byte to more than a TLS record holds.
static size_t fill_message(size_t number, unsigned char* text) {
  const size_t size = 1 + number * 1973 % message_bytes_max;
  for (size_t at = 0; at < size; ++at) {
    text[at] = (unsigned char)(number * 131 + at * 7);
  }
  return size;
}

static void end(struct side* side, const char* problem) {
  if (problem != NULL) {
    char detail[200] = "no error of the library";
    const unsigned long error = side->stream != NULL ? bufferevent_get_openssl_error(side->stream) : 0;
    if (error != 0) {
      ERR_error_string_n(error, detail, sizeof detail);
    }
    fprintf(stderr, "libevent_echo: %s: %s (%s)\n", side->name, problem, detail);
  }
  if (side->stream != NULL) {
    bufferevent_free(side->stream);
    side->stream = NULL;
  }
  if (side->listener != NULL) {
    evconnlistener_free(side->listener);
    side->listener = NULL;
  }
  event_base_loopbreak(side->base);
}

// send_at_once switches off the wait for more to send.
static void send_at_once(struct bufferevent* stream) {
  const int on = 1;
  setsockopt(bufferevent_getfd(stream), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void server_read(struct bufferevent* stream, void* context) {
  (void)context;
  bufferevent_write_buffer(stream, bufferevent_get_input(stream));
}

static void server_event(struct bufferevent* stream, short what, void* context) {
  struct side* side = context;
  if ((what & BEV_EVENT_CONNECTED) != 0) {
    send_at_once(stream);
    return;
  }
  if ((what & BEV_EVENT_EOF) == 0) {
    end(side, "the connection failed");
    return;
  }
  // The client waits for the last echo before it says that it is done, so that nothing can be unsent here.
  side->orderly = SSL_shutdown(bufferevent_openssl_get_ssl(stream)) == 1;
  end(side, side->orderly ? NULL : "no orderly shutdown");
}

static void client_send(struct side* side) {
  unsigned char text[message_bytes_max];
  const size_t size = fill_message(side->echoed, text);
  bufferevent_setwatermark(side->stream, EV_READ, size, 0);
  bufferevent_write(side->stream, text, size);
}

static void client_read(struct bufferevent* stream, void* context) {
  struct side* side = context;
  unsigned char sent[message_bytes_max];
  unsigned char came[message_bytes_max];
  const size_t size = fill_message(side->echoed, sent);
  if (evbuffer_get_length(bufferevent_get_input(stream)) != size) {
    end(side, "an echo has another length");
    return;
  }
  bufferevent_read(stream, came, size);
  if (memcmp(sent, came, size) != 0) {
    end(side, "an echo has other bytes");
    return;
  }
  if (++side->echoed < messages) {
    client_send(side);
    return;
  }
  side->said_all = SSL_shutdown(bufferevent_openssl_get_ssl(stream)) == 0;
  if (!side->said_all) {
    end(side, "close_notify could not be sent");
  }
}

static void client_event(struct bufferevent* stream, short what, void* context) {
  struct side* side = context;
  if ((what & BEV_EVENT_CONNECTED) != 0) {
    send_at_once(stream);
    client_send(side);
  } else if ((what & BEV_EVENT_EOF) != 0 && side->said_all) {
    side->orderly = true;
    end(side, NULL);
  } else {
    end(side, "the connection failed");
  }
}

static void accepted(struct evconnlistener* listener, evutil_socket_t socket, struct sockaddr* peer, int size,
                     void* context) {
  struct side* side = context;
  (void)peer;
  (void)size;
  evconnlistener_disable(listener);
  side->stream =
      bufferevent_openssl_socket_new(side->base, socket, SSL_new(side->tls), BUFFEREVENT_SSL_ACCEPTING, stream_options);
  if (side->stream == NULL) {
    end(side, "no stream");
    return;
  }
  bufferevent_setcb(side->stream, server_read, NULL, server_event, side);
  bufferevent_enable(side->stream, EV_READ | EV_WRITE);
}

static bool start_server(struct side* side, const char* certificate, const char* key, struct sockaddr_in* address) {
  side->base = event_base_new();
  side->tls = SSL_CTX_new(TLS_server_method());
  if (SSL_CTX_use_certificate_chain_file(side->tls, certificate) != 1 ||
      SSL_CTX_use_PrivateKey_file(side->tls, key, SSL_FILETYPE_PEM) != 1) {
    return false;
  }
  socklen_t size = sizeof *address;
  side->listener = evconnlistener_new_bind(side->base, accepted, side, LEV_OPT_CLOSE_ON_FREE, 1,
                                           (struct sockaddr*)address, (int)size);
  return side->listener != NULL &&
         getsockname(evconnlistener_get_fd(side->listener), (struct sockaddr*)address, &size) == 0;
}

static bool start_client(struct side* side, const char* authority, const struct sockaddr_in* server) {
  side->base = event_base_new();
  side->tls = SSL_CTX_new(TLS_client_method());
  if (SSL_CTX_load_verify_locations(side->tls, authority, NULL) != 1) {
    return false;
  }
  SSL* const session = SSL_new(side->tls);
  SSL_set_verify(session, SSL_VERIFY_PEER, NULL);
  if (SSL_set1_host(session, "localhost") != 1 || SSL_set_tlsext_host_name(session, "localhost") != 1) {
    return false;
  }
  side->stream = bufferevent_openssl_socket_new(side->base, -1, session, BUFFEREVENT_SSL_CONNECTING, stream_options);
  if (side->stream == NULL) {
    return false;
  }
  bufferevent_setcb(side->stream, client_read, NULL, client_event, side);
  bufferevent_enable(side->stream, EV_READ | EV_WRITE);
  return bufferevent_socket_connect(side->stream, (const struct sockaddr*)server, sizeof *server) == 0;
}

static void* loop(void* context) {
  event_base_dispatch(((struct side*)context)->base);
  return NULL;
}

static void forget(struct side* side) {
  if (side->stream != NULL) {
    bufferevent_free(side->stream);
  }
  if (side->listener != NULL) {
    evconnlistener_free(side->listener);
  }
  if (side->base != NULL) {
    event_base_free(side->base);
  }
  SSL_CTX_free(side->tls);
}

int main(int argc, char** argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: libevent_echo SERVER.pem SERVER.key.pem CA.pem\n");
    return 2;
  }
  struct side server = {.name = "server"};
  struct side client = {.name = "client"};
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  pthread_t server_thread;
  pthread_t client_thread;
  if (evthread_use_pthreads() != 0 || !start_server(&server, argv[1], argv[2], &address) ||
      !start_client(&client, argv[3], &address)) {
    fprintf(stderr, "libevent_echo: server or client cannot be set up\n");
    ERR_print_errors_fp(stderr);
    forget(&server);
    forget(&client);
    return 1;
  }
  if (pthread_create(&server_thread, NULL, loop, &server) != 0 ||
      pthread_create(&client_thread, NULL, loop, &client) != 0) {
    fprintf(stderr, "libevent_echo: no thread\n");
    exit(1);
  }
  pthread_join(client_thread, NULL);
  pthread_join(server_thread, NULL);
  const bool orderly = server.orderly && client.orderly;
  printf("libevent_echo: %zu of %d messages came back, %s end\n", client.echoed, messages,
         orderly ? "orderly" : "no orderly");
  const bool all = client.echoed == messages && orderly;
  forget(&server);
  forget(&client);
  libevent_global_shutdown();
  return all ? 0 : 1;
}
