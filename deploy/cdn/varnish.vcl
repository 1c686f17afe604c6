vcl 4.1;

# Varnish (7.1 or later) in front of Mediagraph. See docs/cdn.md.
# Change the values on the lines that are marked "yours".
#
# Varnish stores a response until its link expires (max-age) or until Mediagraph purges the media:
#   delivery: { visibility: public, purge: "http://varnish:6081/purge", purgeHeaders: { X-Purge-Secret: "…" } }

import std;

backend mediagraph {
    .host = "127.0.0.1"; .port = "4000"; # yours: origin
    .connect_timeout = 5s;
    .first_byte_timeout = 60s;
    .between_bytes_timeout = 60s;
}

# The addresses that may purge. Behind a TLS proxy, every client has the proxy's address, so the secret is also required.
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
        # Accept only a media id, because the next statement inserts it into an expression.
        if (req.http.xkey !~ "^[A-Za-z0-9_-]+$") {
            return (synth(400, "Bad Request"));
        }
        # The ban uses only obj, so that the ban lurker can process it in the background. Until then Varnish checks each hit.
        if (!std.ban("obj.http.Cache-Tag == " + req.http.xkey)) {
            return (synth(500, "Internal Server Error"));
        }
        return (synth(200, "Purged"));
    }
    # The CDN does not serve GraphQL and webhooks.
    if (req.url !~ "^/media/") {
        return (synth(404, "Not Found"));
    }
    if (req.method != "GET" && req.method != "HEAD" && req.method != "OPTIONS") {
        return (synth(405, "Method Not Allowed"));
    }
    # A link needs no credentials, so Varnish does not forward any.
    unset req.http.Authorization;
    unset req.http.Cookie;
    if (req.http.X-Request-Id !~ "^[A-Za-z0-9_.:-]{1,128}$") {
        set req.http.X-Request-Id = req.xid;
    }
    # Normalises Accept to the three cases that Mediagraph distinguishes, so that Varnish stores a thumbnail at most three times.
    if (req.http.Accept ~ "(?i)(^|,)\s*image/webp\s*(,|$|;(?!\s*q=0(\.0*)?\s*(,|$)))") {
        set req.http.Accept = "image/webp,*/*";
    } else if (req.http.Accept ~ "(?i)(^|,)\s*image/avif\s*(,|$|;(?!\s*q=0(\.0*)?\s*(,|$)))") {
        set req.http.Accept = "image/avif,*/*";
    } else {
        set req.http.Accept = "*/*";
    }
    # Varnish implements If-None-Match, If-Modified-Since and If-Range, but not If-Match and If-Unmodified-Since.
    if (req.method == "OPTIONS" || req.http.If-Match || req.http.If-Unmodified-Since) {
        return (pass);
    }
    return (hash);
}

sub vcl_backend_response {
    # Never serve expired responses: Varnish would serve deleted media whenever Mediagraph is unavailable.
    set beresp.grace = 0s;
    set beresp.keep = 0s;
    # Large media and its ranges pass through without being stored, because they would displace everything else.
    if (std.integer(beresp.http.Content-Length, 0) > 33554432) { # yours: largest
        return (pass(1h));
    }
    # Do not store errors and responses without "public" (see delivery.visibility; responses to bound links are private).
    # Do not store responses without an ETag either: their bytes still come from the provider and may arrive after a purge.
    if (beresp.status != 200 || beresp.http.Cache-Control !~ "^public(,|$)" || !beresp.http.ETag) {
        set beresp.uncacheable = true;
        set beresp.ttl = 1s;
    }
    return (deliver);
}

sub vcl_deliver {
    # The stored response has the request id of the first request, so replace it.
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
