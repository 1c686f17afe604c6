#!/bin/sh
# Makes the five samples again. Needs rsvg-convert (librsvg2-bin), ffmpeg with libx264, libwebp and libopus, DejaVu fonts.
set -eu
cd "$(dirname "$0")"
out=..
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
quiet='-hide_banner -loglevel error -y'
exact='-map_metadata -1 -fflags +bitexact -flags +bitexact' # the same bytes on every run

rsvg-convert photo.svg -o "$work/photo.png"
ffmpeg $quiet -i "$work/photo.png" -frames:v 1 -pix_fmt yuvj420p -q:v 4 $exact "$out/photo.jpg"

rsvg-convert sticker.svg -o "$work/sticker.png"
ffmpeg $quiet -i "$work/sticker.png" -frames:v 1 -c:v libwebp -pix_fmt yuva420p -quality 85 $exact "$out/sticker.webp"

# Two seconds of a three-note call, in the shape that messengers record voice: mono Opus in Ogg, 48 kHz, low bitrate.
ffmpeg $quiet -f lavfi -i "aevalsrc='0.35*sin(2*PI*(if(lt(t,0.6),392,if(lt(t,1.2),494,587)))*t)*exp(-2.2*mod(t,0.6))':s=48000:d=2" \
  -ac 1 -c:a libopus -b:a 16k -application voip $exact "$out/voice-note.ogg"

# Two seconds of a slow pan over the photo, with a sound track; moov in front, so that players start before the end.
ffmpeg $quiet -loop 1 -framerate 25 -t 2 -i "$work/photo.png" \
  -f lavfi -i "aevalsrc='0.2*sin(2*PI*262*t)+0.15*sin(2*PI*330*t)+0.1*sin(2*PI*392*t)':s=44100:d=2" \
  -vf "crop=640:480:'80*t':60,scale=480:360" -c:v libx264 -profile:v main -preset veryslow -crf 27 -pix_fmt yuv420p \
  -c:a aac -b:a 48k -ac 1 -t 2 -movflags +faststart $exact "$out/video.mp4"

SOURCE_DATE_EPOCH=1767225600 rsvg-convert --format=pdf document.svg -o "$out/document.pdf"
