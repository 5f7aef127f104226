/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_http.c - requests of HTTP in pieces, in pairs, and wrong; and answers.
 *
 * Room: tests.
 */
#include "support/test.h"

#include "http.h"

#include <errno.h>
#include <string.h>

static ssize_t read_text(const char *text, struct http_request *ret_request)
{
    return http_read(text, strlen(text), ret_request);
}

#define GET "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"

/* However little of it has come, it is waited for. */
static void test_whole_and_in_pieces(void **state)
{
    struct http_request request;

    (void)state;
    for (size_t length = 1; length < strlen(GET); length++)
        assert_int_equal(http_read(GET, length, &request), 0);
    assert_int_equal(read_text(GET, &request), strlen(GET));
    assert_true(request.is_get && !request.is_head && request.keeps);
    assert_string_equal(request.target, "/metrics");
}

/* What follows is left for the next look. */
static void test_several(void **state)
{
    static const char post[] = "POST /x HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello";
    struct http_request request;

    (void)state;
    assert_int_equal(read_text(GET GET, &request), strlen(GET));
    assert_int_equal(read_text("POST /x HTTP/1.1\r\nContent-Length: 5\r\n\r\nhell", &request), 0);
    assert_int_equal(read_text("POST /x HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello" GET, &request), strlen(post));
    assert_false(request.is_get);
}

static void test_who_hangs_up(void **state)
{
    static const struct {
        const char *text;
        bool keeps;
    } cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", false},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", false},
        {"CONNECT a:1 HTTP/1.1\r\n\r\n", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http_request request;

        assert_int_equal(read_text(cases[i].text, &request), strlen(cases[i].text));
        assert_int_equal(request.keeps, cases[i].keeps);
    }
}

static void test_targets(void **state)
{
    char text[2 * HTTP_TARGET_SIZE] = "GET /", target[HTTP_TARGET_SIZE];
    struct http_request request;

    (void)state;
    assert_true(read_text("HEAD /metrics?name=x HTTP/1.1\r\n\r\n", &request) > 0);
    assert_true(request.is_get && request.is_head);
    assert_string_equal(request.target, "/metrics");
    memset(text + 5, 'a', HTTP_TARGET_SIZE - 2);
    strcpy(text + 5 + HTTP_TARGET_SIZE - 2, " HTTP/1.1\r\n\r\n");
    memcpy(target, text + 4, HTTP_TARGET_SIZE - 1);
    target[HTTP_TARGET_SIZE - 1] = '\0';
    assert_true(read_text(text, &request) > 0);
    assert_string_equal(request.target, target); /* the longest */
    memset(text + 5, 'a', HTTP_TARGET_SIZE - 1);
    strcpy(text + 5 + HTTP_TARGET_SIZE - 1, " HTTP/1.1\r\n\r\n");
    assert_true(read_text(text, &request) > 0);
    assert_string_equal(request.target, "");
}

static void test_wrong_ones(void **state)
{
    static const char *const texts[] = {
        "hello\r\n\r\n",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"stats\"}\n",
        "GET /metrics\r\n\r\n", /* HTTP/0.9 */
        "GET /metrics HTTP/2.0\r\n\r\n",
        "GET /metrics HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "GET /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx",
        "\x16\x03\x01\x02", /* TLS */
    };
    struct http_request request;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(read_text(texts[i], &request), -EPROTO);
}

static void test_answers(void **state)
{
    struct http_reply reply = {.status = "200 OK", .type = "text/plain", .body = "hello\n", .length = 6};
    size_t length;
    char *text = http_write(&reply, &length);

    (void)state;
    assert_int_equal(length, strlen(text));
    assert_string_equal(text, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n"
                              "Connection: keep-alive\r\n\r\nhello\n");
    free(text);
    reply = (struct http_reply){
        .status = "405 No", .type = "a/b", .body = "hello\n", .length = 6, .is_head = true, .closes = true};
    text = http_write(&reply, &length);
    assert_string_equal(text, "HTTP/1.1 405 No\r\nContent-Type: a/b\r\nContent-Length: 6\r\nConnection: close\r\n"
                              "Allow: GET, HEAD\r\n\r\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_and_in_pieces), cmocka_unit_test(test_several),
        cmocka_unit_test(test_who_hangs_up),        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_wrong_ones),          cmocka_unit_test(test_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
