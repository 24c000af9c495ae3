/*
 * Encryption of client connections, where the headers of OpenSSL were found.
 *
 * The certificate is not checked: the server is the one just started here.
 */
#ifndef BENCHES_TLS_H
#define BENCHES_TLS_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#ifdef WITH_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>

static SSL_CTX *tls_context;

static void tls_begin(void)
{
    tls_context = SSL_CTX_new(TLS_client_method());
    if (!tls_context)
        exit(1);
    SSL_CTX_set_mode(
        tls_context,
        SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

/* Shake hands on a blocking socket; NULL where nothing is encrypted. */
static void *tls_open(int fd)
{
    if (!tls_context)
        return NULL;
    SSL *tls = SSL_new(tls_context);
    if (!tls || !SSL_set_fd(tls, fd) || SSL_connect(tls) != 1) {
        ERR_print_errors_fp(stderr);
        exit(1);
    }
    return tls;
}

static void tls_close(void *tls)
{
    SSL_free(tls);
}

/* As send(2) and recv(2): -1 with errno, 0 at the end. */
static ssize_t tls_result(SSL *tls, int done)
{
    if (done > 0)
        return done;
    switch (SSL_get_error(tls, done)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        errno = EPROTO;
        return -1;
    }
}

static ssize_t tls_send(void *tls, const void *data, size_t size)
{
    return tls_result(tls, SSL_write(tls, data, (int)size));
}

/* All records that have arrived: what OpenSSL holds, epoll does not report. */
static ssize_t tls_recv(void *tls, void *data, size_t size)
{
    size_t got = 0;
    do {
        int more = SSL_read(tls, (char *)data + got, (int)(size - got));
        if (more <= 0)
            return got ? (ssize_t)got : tls_result(tls, more);
        got += (size_t)more;
    } while (got < size && SSL_pending(tls));
    return (ssize_t)got;
}

#else

static void tls_begin(void)
{
    fprintf(stderr, "load: built without OpenSSL\n");
    exit(2);
}

static void *tls_open(int fd)
{
    (void)fd;
    return NULL;
}

static void tls_close(void *tls)
{
    (void)tls;
}

static ssize_t tls_send(void *tls, const void *data, size_t size)
{
    (void)tls, (void)data, (void)size;
    return -1;
}

static ssize_t tls_recv(void *tls, void *data, size_t size)
{
    (void)tls, (void)data, (void)size;
    return -1;
}

#endif

static ssize_t socket_send(int fd, void *tls, const void *data, size_t size)
{
    return tls ? tls_send(tls, data, size) : send(fd, data, size, MSG_NOSIGNAL);
}

static ssize_t socket_recv(int fd, void *tls, void *data, size_t size)
{
    return tls ? tls_recv(tls, data, size) : recv(fd, data, size, 0);
}

#endif
