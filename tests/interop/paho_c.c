// Paho C (its synchronous API, MQTTClient) against a broker:
//
//     paho_c URI VERSION CLIENT_ID TOPIC [CA CERTIFICATE KEY]
//
// VERSION is 4 or 5; client ids begin with CLIENT_ID/, topics with TOPIC/. Each check says "ok NAME"; the first that
// fails says why and ends the program.
#include <MQTTClient.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { patience_ms = 60000, large_bytes = 200000, offline_messages = 20, name_bytes = 200 };

static const char *uri, *id_prefix, *topic_prefix, *ca, *certificate, *key;
static int version;

static _Noreturn void fail(const char* format, ...) {
    va_list values;
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fputc('\n', stderr);
    exit(1);
}

static void check(int good, const char* what) {
    if (!good) fail("not so: %s", what);
}

static void ok(int code, const char* what) {
    if (code != MQTTCLIENT_SUCCESS) fail("%s: %d (%s)", what, code, MQTTClient_strerror(code));
}

static void ok_reason(MQTTResponse r, const char* what) {
    if ((int)r.reasonCode >= 0x80 || (int)r.reasonCode < 0) fail("%s: reason %d", what, r.reasonCode);
    MQTTResponse_free(r);
}

static const char* below(const char* prefix, const char* name, char* to) {
    snprintf(to, name_bytes, "%s/%s", prefix, name);
    return to;
}

// --- clients ---

struct session {
    int persistent;
    const char* will_topic;
};

static MQTTClient create(const char* name) {
    char id[name_bytes];
    MQTTClient client;
    MQTTClient_createOptions options = MQTTClient_createOptions_initializer;
    options.MQTTVersion = version;
    ok(MQTTClient_createWithOptions(&client, uri, below(id_prefix, name, id), MQTTCLIENT_PERSISTENCE_NONE, NULL,
                                    &options),
       "create");
    return client;
}

/// Returns whether the broker had a session, which the library tells only in version 3.1.1.
static int connect_to_broker(MQTTClient client, struct session want) {
    MQTTClient_connectOptions v3 = MQTTClient_connectOptions_initializer;
    MQTTClient_connectOptions v5 = MQTTClient_connectOptions_initializer5;
    MQTTClient_connectOptions options = version == 5 ? v5 : v3;
    MQTTClient_SSLOptions tls = MQTTClient_SSLOptions_initializer;
    MQTTClient_willOptions will = MQTTClient_willOptions_initializer;
    options.MQTTVersion = version;
    options.keepAliveInterval = 60;
    if (version == 5)
        options.cleanstart = !want.persistent;
    else
        options.cleansession = !want.persistent;
    if (ca != NULL) {
        tls.trustStore = ca;
        tls.keyStore = certificate;
        tls.privateKey = key;
        tls.enableServerCertAuth = 1;
        options.ssl = &tls;
    }
    if (want.will_topic != NULL) {
        will.topicName = want.will_topic;
        will.message = "gone";
        will.qos = 1;
        options.will = &will;
    }
    if (version != 5) {
        ok(MQTTClient_connect(client, &options), "connect");
        return options.returned.sessionPresent;
    }
    MQTTProperties properties = MQTTProperties_initializer;
    MQTTProperty expiry = {.identifier = MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL};
    expiry.value.integer4 = want.persistent ? 600 : 0;
    MQTTProperties_add(&properties, &expiry);
    MQTTResponse r = MQTTClient_connect5(client, &options, &properties, NULL);
    MQTTProperties_free(&properties);
    ok_reason(r, "connect");
    return 0;
}

static MQTTClient client_of(const char* name) {
    MQTTClient client = create(name);
    connect_to_broker(client, (struct session){0});
    return client;
}

static void bye(MQTTClient client) {
    ok(MQTTClient_disconnect(client, patience_ms), "disconnect");
    MQTTClient_destroy(&client);
}

static void subscribe_with(MQTTClient client, const char* topic, int qos, MQTTSubscribe_options options, int id) {
    if (version != 5) {
        ok(MQTTClient_subscribe(client, topic, qos), topic);
        return;
    }
    MQTTProperties properties = MQTTProperties_initializer;
    MQTTProperty number = {.identifier = MQTTPROPERTY_CODE_SUBSCRIPTION_IDENTIFIER};
    number.value.integer4 = (unsigned)id;
    if (id != 0) MQTTProperties_add(&properties, &number);
    ok_reason(MQTTClient_subscribe5(client, topic, qos, &options, &properties), topic);
    MQTTProperties_free(&properties);
}

static void subscribe(MQTTClient client, const char* topic, int qos) {
    MQTTSubscribe_options options = MQTTSubscribe_options_initializer;
    subscribe_with(client, topic, qos, options, 0);
}

static void publish_message(MQTTClient client, const char* topic, MQTTClient_message* m) {
    MQTTClient_deliveryToken token = 0;
    if (version == 5)
        ok_reason(MQTTClient_publishMessage5(client, topic, m, &token), topic);
    else
        ok(MQTTClient_publishMessage(client, topic, m, &token), topic);
    if (m->qos > 0) ok(MQTTClient_waitForCompletion(client, token, patience_ms), topic);
}

static MQTTClient_message message_of(const char* payload, int bytes, int qos, int retained) {
    MQTTClient_message m = MQTTClient_message_initializer;
    m.struct_version = 1;
    m.payload = (void*)payload;
    m.payloadlen = bytes;
    m.qos = qos;
    m.retained = retained;
    return m;
}

static void publish(MQTTClient client, const char* topic, const char* payload, int qos, int retained) {
    MQTTClient_message m = message_of(payload, (int)strlen(payload), qos, retained);
    publish_message(client, topic, &m);
}

/// The next message, which must be this one; to be freed with MQTTClient_freeMessage.
static MQTTClient_message* receive(MQTTClient client, const char* payload) {
    char* topic = NULL;
    int topic_bytes = 0;
    MQTTClient_message* m = NULL;
    ok(MQTTClient_receive(client, &topic, &topic_bytes, &m, patience_ms), "receive");
    if (m == NULL) fail("\"%s\" did not come", payload);
    if ((size_t)m->payloadlen != strlen(payload) || memcmp(m->payload, payload, strlen(payload)) != 0) {
        fail("\"%s\" was to come on %s, not \"%.*s\"", payload, topic, m->payloadlen, (const char*)m->payload);
    }
    MQTTClient_free(topic);
    return m;
}

static void expect(MQTTClient client, const char* payload, int qos, int retained) {
    MQTTClient_message* m = receive(client, payload);
    if (m->qos != qos || m->retained != retained) fail("%s: QoS %d, retained %d", payload, m->qos, m->retained);
    MQTTClient_freeMessage(&m);
}

// --- checks for both versions ---

static void each_qos(void) {
    char topic[name_bytes];
    below(topic_prefix, "qos", topic);
    MQTTClient in = client_of("in"), out = client_of("out");
    subscribe(in, topic, 2);
    for (int qos = 0; qos <= 2; ++qos) {
        publish(out, topic, "hello", qos, 0);
        expect(in, "hello", qos, 0);
    }
    char* large = malloc(large_bytes + 1);
    memset(large, 'x', large_bytes);
    large[large_bytes] = 0;
    publish(out, topic, large, 1, 0);
    expect(in, large, 1, 0);
    free(large);
    bye(in);
    bye(out);
}

static void retained(void) {
    char topic[name_bytes];
    below(topic_prefix, "retained", topic);
    MQTTClient out = client_of("out");
    publish(out, topic, "kept", 1, 1);
    MQTTClient in = client_of("in");
    subscribe(in, topic, 1);
    expect(in, "kept", 1, 1);
    publish(out, topic, "", 1, 1);
    expect(in, "", 1, 0);
    MQTTClient late = client_of("late");
    subscribe(late, topic, 1);
    publish(out, topic, "live", 1, 0);
    expect(late, "live", 1, 0);
    bye(in);
    bye(late);
    bye(out);
}

/// First QoS 1, then 2: the library hands over a QoS 2 message at its PUBREL, so that QoS 1 messages overtake it.
static int offline_qos(int i) { return i < offline_messages / 2 ? 1 : 2; }

static void persistent_session(void) {
    char topic[name_bytes], text[20];
    below(topic_prefix, "offline", topic);
    MQTTClient sleeper = create("sleeper");
    check(!connect_to_broker(sleeper, (struct session){.persistent = 1}), "no session at first");
    subscribe(sleeper, topic, 2);
    ok(MQTTClient_disconnect(sleeper, patience_ms), "disconnect");
    MQTTClient out = client_of("out");
    for (int i = 0; i < offline_messages; ++i) {
        snprintf(text, sizeof text, "%d", i);
        publish(out, topic, text, offline_qos(i), 0);
    }
    const int present = connect_to_broker(sleeper, (struct session){.persistent = 1});
    check(present || version == 5, "the session is present");
    for (int i = 0; i < offline_messages; ++i) {
        snprintf(text, sizeof text, "%d", i);
        expect(sleeper, text, offline_qos(i), 0);
    }
    ok(MQTTClient_disconnect(sleeper, patience_ms), "disconnect");
    connect_to_broker(sleeper, (struct session){0});
    bye(sleeper);
    bye(out);
}

/// A process that connects with a will when it is told to, and ends without a word.
static pid_t mortal(int* tell) {
    int ends[2];
    ok(pipe(ends), "pipe");
    const pid_t child = fork();
    if (child == 0) {
        char go, topic[name_bytes];
        close(ends[1]);
        if (read(ends[0], &go, 1) != 1) _exit(1);
        connect_to_broker(create("mortal"), (struct session){.will_topic = below(topic_prefix, "will", topic)});
        _exit(0);
    }
    close(ends[0]);
    *tell = ends[1];
    return child;
}

static void will(pid_t child, int tell) {
    char topic[name_bytes];
    int status = 0;
    MQTTClient in = client_of("in");
    subscribe(in, below(topic_prefix, "will", topic), 2);
    check(write(tell, "x", 1) == 1 && waitpid(child, &status, 0) == child && status == 0,
          "the other process connected");
    expect(in, "gone", 1, 0);
    bye(in);
}

// --- checks for version 5 ---

static void add_text(MQTTProperties* to, enum MQTTPropertyCodes code, const char* name, const char* value) {
    MQTTProperty p = {.identifier = code};
    p.value.data = (MQTTLenString){(int)strlen(name), (char*)name};
    if (value != NULL) p.value.value = (MQTTLenString){(int)strlen(value), (char*)value};
    MQTTProperties_add(to, &p);
}

static void add_number(MQTTProperties* to, enum MQTTPropertyCodes code, unsigned value) {
    MQTTProperty p = {.identifier = code};
    if (code == MQTTPROPERTY_CODE_TOPIC_ALIAS)
        p.value.integer2 = (unsigned short)value;
    else if (code == MQTTPROPERTY_CODE_PAYLOAD_FORMAT_INDICATOR)
        p.value.byte = (unsigned char)value;
    else
        p.value.integer4 = value;
    MQTTProperties_add(to, &p);
}

static void check_text(MQTTProperties* in, enum MQTTPropertyCodes code, int index, const char* name,
                       const char* value) {
    const MQTTProperty* p = MQTTProperties_getPropertyAt(in, code, index);
    if (p == NULL) fail("property %d is missing", code);
    const MQTTLenString data = p->value.data, second = p->value.value;
    check((size_t)data.len == strlen(name) && memcmp(data.data, name, strlen(name)) == 0, name);
    if (value != NULL)
        check((size_t)second.len == strlen(value) && memcmp(second.data, value, strlen(value)) == 0, value);
}

static void request_and_response(void) {
    char questions[name_bytes], answers[name_bytes];
    below(topic_prefix, "questions", questions);
    below(topic_prefix, "answers", answers);
    MQTTClient asking = client_of("asking"), answering = client_of("answering");
    subscribe(answering, questions, 2);
    subscribe(asking, answers, 2);

    MQTTClient_message question = message_of("?", 1, 2, 0);
    add_text(&question.properties, MQTTPROPERTY_CODE_RESPONSE_TOPIC, answers, NULL);
    add_text(&question.properties, MQTTPROPERTY_CODE_CORRELATION_DATA, "number 1", NULL);
    add_text(&question.properties, MQTTPROPERTY_CODE_CONTENT_TYPE, "text/plain", NULL);
    add_text(&question.properties, MQTTPROPERTY_CODE_USER_PROPERTY, "same", "first");
    add_text(&question.properties, MQTTPROPERTY_CODE_USER_PROPERTY, "same", "second");
    add_number(&question.properties, MQTTPROPERTY_CODE_PAYLOAD_FORMAT_INDICATOR, 1);
    add_number(&question.properties, MQTTPROPERTY_CODE_MESSAGE_EXPIRY_INTERVAL, 1000);
    publish_message(asking, questions, &question);

    MQTTClient_message* asked = receive(answering, "?");
    check_text(&asked->properties, MQTTPROPERTY_CODE_RESPONSE_TOPIC, 0, answers, NULL);
    check_text(&asked->properties, MQTTPROPERTY_CODE_CORRELATION_DATA, 0, "number 1", NULL);
    check_text(&asked->properties, MQTTPROPERTY_CODE_CONTENT_TYPE, 0, "text/plain", NULL);
    check_text(&asked->properties, MQTTPROPERTY_CODE_USER_PROPERTY, 0, "same", "first");
    check_text(&asked->properties, MQTTPROPERTY_CODE_USER_PROPERTY, 1, "same", "second");
    const MQTTProperty* expiry =
        MQTTProperties_getProperty(&asked->properties, MQTTPROPERTY_CODE_MESSAGE_EXPIRY_INTERVAL);
    check(expiry != NULL && expiry->value.integer4 <= 1000 && expiry->value.integer4 > 0, "what is left of the expiry");
    MQTTClient_freeMessage(&asked);

    MQTTClient_message answer = message_of("!", 1, 1, 0);
    add_text(&answer.properties, MQTTPROPERTY_CODE_CORRELATION_DATA, "number 1", NULL);
    publish_message(answering, answers, &answer);
    MQTTClient_message* answered = receive(asking, "!");
    check_text(&answered->properties, MQTTPROPERTY_CODE_CORRELATION_DATA, 0, "number 1", NULL);
    MQTTClient_freeMessage(&answered);
    MQTTProperties_free(&question.properties);
    MQTTProperties_free(&answer.properties);
    bye(asking);
    bye(answering);
}

static void topic_alias(void) {
    char topic[name_bytes];
    below(topic_prefix, "alias", topic);
    MQTTClient in = client_of("in"), out = client_of("out");
    subscribe(in, topic, 1);
    MQTTClient_message m = message_of("by name", 7, 1, 0);
    add_number(&m.properties, MQTTPROPERTY_CODE_TOPIC_ALIAS, 1);
    publish_message(out, topic, &m);
    m.payload = (void*)"by number";
    m.payloadlen = 9;
    publish_message(out, "", &m);
    expect(in, "by name", 1, 0);
    expect(in, "by number", 1, 0);
    MQTTProperties_free(&m.properties);
    bye(in);
    bye(out);
}

static void subscription_options(void) {
    char topic[name_bytes];
    below(topic_prefix, "options", topic);
    MQTTClient own = client_of("own"), other = client_of("other");
    publish(other, topic, "old", 1, 1);
    MQTTSubscribe_options options = MQTTSubscribe_options_initializer;
    options.noLocal = 1;
    options.retainHandling = 2;
    options.retainAsPublished = 1;
    subscribe_with(own, topic, 1, options, 77);
    publish(own, topic, "mine", 1, 0);
    publish(other, topic, "theirs", 1, 1);
    MQTTClient_message* m = receive(own, "theirs");
    const MQTTProperty* id = MQTTProperties_getProperty(&m->properties, MQTTPROPERTY_CODE_SUBSCRIPTION_IDENTIFIER);
    check(m->retained, "retain as published");
    check(id != NULL && id->value.integer4 == 77, "the subscription identifier");
    MQTTClient_freeMessage(&m);
    publish(other, topic, "", 1, 1);
    bye(own);
    bye(other);
}

int main(int argc, char** argv) {
    if (argc != 5 && argc != 8) fail("usage: paho_c URI VERSION CLIENT_ID TOPIC [CA CERTIFICATE KEY]");
    uri = argv[1];
    version = atoi(argv[2]);
    id_prefix = argv[3];
    topic_prefix = argv[4];
    if (argc == 8) {
        ca = argv[5];
        certificate = argv[6];
        key = argv[7];
    }
    int tell = 0;
    const pid_t child = mortal(&tell); // before the library has threads
    each_qos();
    puts("ok each QoS, a large message");
    retained();
    puts("ok retained");
    persistent_session();
    puts("ok persistent session");
    will(child, tell);
    puts("ok will");
    if (version == 5) {
        request_and_response();
        puts("ok request and response");
        topic_alias();
        puts("ok topic alias");
        subscription_options();
        puts("ok subscription options");
    }
    return 0;
}
