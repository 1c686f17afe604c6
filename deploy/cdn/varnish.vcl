vcl 4.1;

# Varnish (7.1 or later) before Mediagraph. See docs/cdn.md.
# Lines marked "yours" have the values that differ from place to place.
#
# A media is kept until its link ends, which is what its max-age says, or until Mediagraph says that it was deleted:
#   delivery: { visibility: public, purge: "http://varnish:6081/purge", purgeHeaders: { X-Purge-Secret: "…" } }

import std;

backend mediagraph {
    .host = "127.0.0.1"; .port = "4000"; # yours: origin
    .connect_timeout = 5s;
    .first_byte_timeout = 60s;
    .between_bytes_timeout = 60s;
}

# Who may purge. Behind a proxy that ends TLS everybody has its address: the secret counts for that.
acl purgers {
    "localhost"; # yours: purgers
}

sub vcl_recv {
    if (req.url == "/purge") {
        if (req.method != "POST") {
            return (synth(405, "Method Not Allowed"));
        }
        if (client.ip !~ purgers) {
            return (synth(403, "Forbidden"));
        }
        if (req.http.X-Purge-Secret != "change me") { # yours: secret
            return (synth(403, "Forbidden"));
        }
        # A media's id and nothing else, since what follows is an expression.
        if (req.http.xkey !~ "^[A-Za-z0-9_-]+$") {
            return (synth(400, "Bad Request"));
        }
        # Only obj: the lurker can work it off in the background. Until then each hit is held against it.
        if (!std.ban("obj.http.Cache-Tag == " + req.http.xkey)) {
            return (synth(500, "Internal Server Error"));
        }
        return (synth(200, "Purged"));
    }
    # GraphQL and webhooks are not the CDN's.
    if (req.url !~ "^/media/") {
        return (synth(404, "Not Found"));
    }
    if (req.method != "GET" && req.method != "HEAD" && req.method != "OPTIONS") {
        return (synth(405, "Method Not Allowed"));
    }
    # A link is all that is needed; nobody's credentials are Mediagraph's business here.
    unset req.http.Authorization;
    unset req.http.Cookie;
    if (req.http.X-Request-Id !~ "^[A-Za-z0-9_.:-]{1,128}$") {
        set req.http.X-Request-Id = req.xid;
    }
    # What Mediagraph makes of an Accept, so that a thumbnail is kept at most three times.
    if (req.http.Accept ~ "(?i)(^|,)\s*image/webp\s*(,|$|;(?!\s*q=0(\.0*)?\s*(,|$)))") {
        set req.http.Accept = "image/webp,*/*";
    } else if (req.http.Accept ~ "(?i)(^|,)\s*image/avif\s*(,|$|;(?!\s*q=0(\.0*)?\s*(,|$)))") {
        set req.http.Accept = "image/avif,*/*";
    } else {
        set req.http.Accept = "*/*";
    }
    # Varnish knows If-None-Match, If-Modified-Since and If-Range, and not these two.
    if (req.method == "OPTIONS" || req.http.If-Match || req.http.If-Unmodified-Since) {
        return (pass);
    }
    return (hash);
}

sub vcl_backend_response {
    # Nothing that is over is ever served: a media that was deleted would come back whenever Mediagraph is away.
    set beresp.grace = 0s;
    set beresp.keep = 0s;
    # Large media would push everything else out: it goes straight through, parts of it too.
    if (std.integer(beresp.http.Content-Length, 0) > 33554432) { # yours: largest
        return (pass(1h));
    }
    # Errors; what is not said to be public (delivery.visibility; links that are bound to origins); and bytes that still
    # come from their provider, without an ETag: they may be long on their way, and be deleted and purged before they are here.
    if (beresp.status != 200 || beresp.http.Cache-Control !~ "^public(,|$)" || !beresp.http.ETag) {
        set beresp.uncacheable = true;
        set beresp.ttl = 1s;
    }
    return (deliver);
}

sub vcl_deliver {
    # Not the id of whoever asked first.
    set resp.http.X-Request-Id = req.http.X-Request-Id;
    return (deliver);
}

sub vcl_backend_error {
    set beresp.ttl = 0s;
    set beresp.http.Content-Type = "application/json; charset=utf-8";
    set beresp.http.Cache-Control = "no-store";
    set beresp.body = """{"error":{"code":"INTERNAL_SERVER_ERROR","message":"the origin does not answer"}}""";
    return (deliver);
}

sub vcl_synth {
    set resp.http.Content-Type = "application/json; charset=utf-8";
    set resp.http.Cache-Control = "no-store";
    set resp.body = """{"status":""" + resp.status + "}";
    return (deliver);
}
