#!/bin/sh
# Creates the bucket S3_BUCKET_URL unless it exists. curl signs the requests as S3 requires (AWS Signature Version 4).
set -eu

status() {
  curl --silent --show-error --max-time 30 --output /dev/null --write-out '%{http_code}' \
    --aws-sigv4 aws:amz:us-east-1:s3 --user "$S3_ACCESS_KEY_ID:$S3_SECRET_ACCESS_KEY" "$@" "$S3_BUCKET_URL"
}

found=$(status --head)
[ "$found" = 200 ] && exit 0
created=$(status --request PUT)
[ "$created" = 200 ] && exit 0
echo "expected the bucket $S3_BUCKET_URL to exist or to be created, got status $found and $created" >&2
exit 1
