/* subject.h: how the rig reaches a socket layer. Plain C99, no other header of the rig is needed.
 *
 * A subject is an asynchronous TLS socket layer, behind the table of verbs below. An adapter fills the table and, when
 * it is built as a shared object, exports rig_subject_entry(). A verb that the layer does not have may be NULL where
 * its capability bit is clear.
 *
 * Threads. Each loop is turned by one thread at a time, and all callbacks of its sockets run inside loop_turn(), on
 * that thread, one at a time; no callback runs inside another verb. Verbs marked "any thread" may be called from every
 * thread, also from inside a callback, also of another socket; the others belong to the loop's thread.
 *
 * Life of a socket: connect() or `accepted`; then `connected` exactly once, with an error or without; then any number
 * of `data`, `sent`, `writable`, at most one `ended`; then `closed` exactly once; then nothing. `closed` comes also
 * when `connected` reported an error. The handle lives until destroy() AND `closed` have both happened; no verb may be
 * called on it after destroy(). destroy() of a socket that is not closed aborts it: what is pending still completes,
 * `closed` still comes, and `user` must stay valid until then.
 *
 * Ops. send() answers RIG_SEND_COMPLETED (done, no callback will come), RIG_SEND_PENDING (exactly one `sent` with this
 * token will come) or RIG_SEND_REFUSED (nothing happened, no callback will come). Completions come in the order of
 * issue. When `closed` comes, every pending op has completed.
 *
 * Arguments. A null where something must stand, and a number that is not listed here, are refused with
 * RIG_INVALID_ARGUMENT and a sentence, and nothing has happened then. A handle that is not alive is not noticed.
 */
#ifndef RIG_SUBJECT_H
#define RIG_SUBJECT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* RIG_SUBJECT_ABI is the version of this header; a subject with another version is refused. */
#define RIG_SUBJECT_ABI 1u

typedef struct rig_loop rig_loop;
typedef struct rig_context rig_context;
typedef struct rig_listener rig_listener;
typedef struct rig_socket rig_socket;

/* rig_status is an outcome class; the words are those of harness/base/error.h. */
typedef enum rig_status {
  RIG_OK = 0,
  RIG_CLOSED,
  RIG_CLEAN_END,
  RIG_TRUNCATED,
  RIG_RESET,
  RIG_REFUSED,
  RIG_UNREACHABLE,
  RIG_TIMEOUT,
  RIG_ABORTED,
  RIG_VERIFICATION_FAILED,
  RIG_HANDSHAKE_FAILED,
  RIG_PROTOCOL,
  RIG_PEER_ALERT,
  RIG_UNSUPPORTED,
  RIG_INVALID_ARGUMENT,
  RIG_INVALID_STATE,
  RIG_WOULD_BLOCK,
  RIG_NO_MEMORY,
  RIG_NO_DESCRIPTORS,
  RIG_ADDRESS_IN_USE,
  RIG_REFUSED_BY_SYSTEM,
  RIG_INTERNAL
} rig_status;

/* rig_error is a class, the library's or system's own number (0: none) and a sentence, always 0-terminated. */
typedef struct rig_error {
  rig_status status;
  int64_t number;
  char detail[184];
} rig_error;

/* Capabilities: what a subject, with a certain library, can do. */
#define RIG_CAN_TLS12 (1u << 0)
#define RIG_CAN_TLS13 (1u << 1)
#define RIG_CAN_PSK (1u << 2)
#define RIG_CAN_CERTIFICATES (1u << 3)
#define RIG_CAN_FAST_TRACK_OFF (1u << 4)        /* every send can be made to go through the poller */
#define RIG_CAN_SEND_FROM_ANY_THREAD (1u << 5)  /* send() is an any-thread verb */
#define RIG_CAN_CLOSE_FROM_ANY_THREAD (1u << 6) /* close(), pause(), resume() are any-thread verbs */
#define RIG_CAN_ORDER_COMPLETIONS (1u << 7)     /* completions come in the order of issue */
#define RIG_CAN_PAUSE (1u << 8)
#define RIG_CAN_HALF_CLOSE (1u << 9)
#define RIG_CAN_TELL_TRUNCATION (1u << 10) /* the protocol has an end mark, and its absence is reported */
#define RIG_CAN_RENEGOTIATE_AS_CLIENT (1u << 11)
#define RIG_CAN_RENEGOTIATE_AS_SERVER (1u << 12)
#define RIG_CAN_RENEGOTIATE_IN_FLIGHT (1u << 13)
#define RIG_CAN_UPDATE_KEYS (1u << 14)
#define RIG_CAN_LIMIT_QUEUE (1u << 15)      /* queue limits are honoured, `writable` follows a refusal */
#define RIG_CAN_MORE (1u << 16)             /* RIG_SEND_MORE is honoured */
#define RIG_CAN_CLOSE_OVER_INPUT (1u << 17) /* a graceful close is orderly also where the peer sends on, or stays */

/* Pollers, for the mask of rig_subject.pollers and for rig_loop_config.poller. */
#define RIG_POLLER_EPOLL (1u << 0)
#define RIG_POLLER_POLL (1u << 1)
#define RIG_POLLER_SELECT (1u << 2)

/* TLS versions of rig_context_config and rig_socket_info. */
#define RIG_TLS_NONE 0u
#define RIG_TLS_1_2 12u
#define RIG_TLS_1_3 13u

/* rig_loop_config is what a loop is made with. */
typedef struct rig_loop_config {
  uint32_t poller;     /* one RIG_POLLER_ bit */
  uint32_t fast_track; /* 1: a send may complete at once; 0: every send goes through the poller */
} rig_loop_config;

/* rig_loop_counts is how many sockets of a loop are in which state; `undestroyed` are closed but not destroyed. */
typedef struct rig_loop_counts {
  uint32_t listeners;
  uint32_t connecting;
  uint32_t handshaking;
  uint32_t open;
  uint32_t closing;
  uint32_t undestroyed;
  uint32_t registrations; /* handles armed in the poller, its own not counted */
} rig_loop_counts;

/* rig_context_config is what the connections of a context share. Texts are borrowed for the call.
 *
 * A zeroed one verifies nobody: verify_peer is 0 then, and a client talks to whoever answers. Here every check is asked
 * for, so that a suite can leave it out; a layer's own interface should verify unless it is told not to. */
typedef struct rig_context_config {
  const char* library;       /* "openssl", "gnutls", "mbedtls", "null", or what the subject lists */
  uint32_t server;           /* 1: server side */
  uint32_t tls_min, tls_max; /* RIG_TLS_; RIG_TLS_NONE for plain TCP */
  uint32_t verify_peer;      /* 1: client: verify chain and host name; server: demand a client certificate */
  uint32_t allow_renegotiation;
  const char* ca_pem; /* NULL: none */
  const char* certificate_pem;
  const char* private_key_pem;
  const char* psk_identity; /* NULL: no PSK */
  const uint8_t* psk;
  size_t psk_bytes;
  void (*key_log)(void* key_log_user, const char* line); /* NULL: none; any thread */
  void* key_log_user;
} rig_context_config;

/* rig_socket_config: 0 in a number means the subject's own default. */
typedef struct rig_socket_config {
  const char* host; /* client: the name or address that the certificate must have */
  uint32_t nodelay; /* 1: Nagle's algorithm off */
  uint32_t queue_ops_max;
  size_t queue_bytes_max;
  size_t kernel_send_bytes;
  size_t kernel_recv_bytes;
  uint64_t connect_timeout_us;
  uint64_t handshake_timeout_us; /* from the start of the connection to the end of the handshake */
  uint64_t close_timeout_us;     /* a graceful close that takes longer ends as aborted */
  uint32_t connections_max;      /* listener: accepting pauses at this many sockets that are not destroyed */
} rig_socket_config;

/* rig_socket_info is what is really in use, read back at run time. */
typedef struct rig_socket_info {
  char library[32];
  char library_version[64]; /* of the loaded library */
  char poller[16];
  char cipher[64];
  uint32_t fast_track;
  uint32_t tls_version;
  uint32_t psk;
  uint32_t peer_verified;
  uint32_t nodelay;
  uint32_t handshakes;
  uint32_t key_updates_out;
  uint32_t key_updates_in;
  uint32_t ops_pending;
  uint64_t queued_bytes;
} rig_socket_info;

/* rig_socket_callbacks: a NULL error means success. Bytes and errors are borrowed for the call. */
typedef struct rig_socket_callbacks {
  void (*connected)(void* user, const rig_error* error);
  void (*data)(void* user, const uint8_t* bytes, size_t count);
  void (*ended)(void* user); /* the peer ended its stream in the orderly way; ours is still open */
  void (*sent)(void* user, uint64_t token, size_t bytes, const rig_error* error);
  void (*writable)(void* user);                       /* after a send was refused with RIG_WOULD_BLOCK */
  void (*closed)(void* user, const rig_error* error); /* NULL: both directions ended in the orderly way */
} rig_socket_callbacks;

/* rig_listener_callbacks.accepted hands over a new socket, before its handshake. The callback must call adopt(), or
 * destroy(). */
typedef struct rig_listener_callbacks {
  void (*accepted)(void* listener_user, rig_socket* socket);
} rig_listener_callbacks;

/* rig_send_result is what send() answers; see "Ops" above. */
typedef enum rig_send_result { RIG_SEND_COMPLETED = 0, RIG_SEND_PENDING = 1, RIG_SEND_REFUSED = 2 } rig_send_result;
#define RIG_SEND_MORE 1u /* further sends follow soon; this one may wait for them */

/* rig_close_mode is how close() ends a socket. */
typedef enum rig_close_mode {
  RIG_CLOSE_GRACEFUL = 0, /* flush, end mark, wait until the peer's system has it all; new sends are refused */
  RIG_CLOSE_ABORT = 1     /* drop what is queued; the peer sees a reset */
} rig_close_mode;

/* rig_subject is the table. Verbs that return rig_status fill `error` if it is not NULL and they fail. */
typedef struct rig_subject {
  uint32_t abi;          /* RIG_SUBJECT_ABI */
  uint32_t size;         /* sizeof(rig_subject) */
  const char* name;      /* "house", "asio", ... */
  const char* libraries; /* words separated by one blank: "openssl gnutls mbedtls null" */
  uint32_t pollers;      /* mask of RIG_POLLER_ */

  /* capabilities with `library`; 0 if there is no such library. Any thread. */
  uint32_t (*capabilities)(const char* library);
  /* library_version writes what the loaded library says of itself. Any thread. */
  void (*library_version)(const char* library, char* text, size_t text_bytes);

  rig_status (*loop_create)(const rig_loop_config* config, rig_loop** loop, rig_error* error);
  /* loop_turn waits for at most `timeout_us`, then does what is due, callbacks included. */
  rig_status (*loop_turn)(rig_loop* loop, uint64_t timeout_us, rig_error* error);
  /* loop_wake ends the current or the next wait. Any thread. */
  void (*loop_wake)(rig_loop* loop);
  /* loop_counts: the loop's thread, or any thread while nobody turns the loop. */
  void (*loop_counts)(rig_loop* loop, rig_loop_counts* counts);
  /* loop_destroy: every listener and socket of the loop is closed and destroyed before; no turn is needed in between,
   * and a `closed` that is still due comes in this call. */
  void (*loop_destroy)(rig_loop* loop);

  rig_status (*context_create)(const rig_context_config* config, rig_context** context,
                               rig_error* error); /* any thread */
  void (*context_destroy)(rig_context* context);  /* any thread */

  /* listen on a numeric address; port 0: the system chooses. */
  rig_status (*listen)(rig_loop* loop, rig_context* context, const char* host, uint16_t port,
                       const rig_socket_config* config, const rig_listener_callbacks* callbacks, void* listener_user,
                       rig_listener** listener, rig_error* error);
  uint16_t (*listener_port)(rig_listener* listener);
  /* listener_close stops and destroys it, also inside `accepted`; accepted sockets live on. */
  void (*listener_close)(rig_listener* listener);

  /* connect: a failure here means that there is no socket and no callback will come. */
  rig_status (*connect)(rig_loop* loop, rig_context* context, const char* host, uint16_t port,
                        const rig_socket_config* config, const rig_socket_callbacks* callbacks, void* user,
                        rig_socket** socket, rig_error* error);
  void (*adopt)(rig_socket* socket, const rig_socket_callbacks* callbacks, void* user);

  /* send copies the bytes. Before `connected` it queues. Any thread if RIG_CAN_SEND_FROM_ANY_THREAD. */
  rig_send_result (*send)(rig_socket* socket, uint64_t token, const uint8_t* bytes, size_t count, uint32_t flags,
                          rig_error* error);
  /* pause, resume: whether `data` and `ended` may come. Any thread if RIG_CAN_CLOSE_FROM_ANY_THREAD. */
  rig_status (*pause)(rig_socket* socket, rig_error* error);
  rig_status (*resume)(rig_socket* socket, rig_error* error);
  /* renegotiate, update_keys: the loop's thread, or any thread if RIG_CAN_CLOSE_FROM_ANY_THREAD. */
  rig_status (*renegotiate)(rig_socket* socket, rig_error* error);
  rig_status (*update_keys)(rig_socket* socket, rig_error* error);
  /* half_close flushes and ends our direction; the peer's goes on. */
  rig_status (*half_close)(rig_socket* socket, rig_error* error);
  /* close may be called twice: the second call is harmless, and an abort may follow a graceful close. */
  rig_status (*close)(rig_socket* socket, rig_close_mode mode, rig_error* error);
  void (*destroy)(rig_socket* socket);
  void (*info)(rig_socket* socket, rig_socket_info* info); /* any thread */
} rig_subject;

/* rig_subject_entry is what a subject built as a shared object exports. */
const rig_subject* rig_subject_entry(void);

#ifdef __cplusplus
}
#endif

#endif /* RIG_SUBJECT_H */
