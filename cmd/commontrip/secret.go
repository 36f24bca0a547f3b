package main

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

const hidden = "xxxxx"

// keep notes what the URL has that no output may show.
func (a *app) keep(rawURL string) {
	if rawURL == "" {
		return
	}
	a.secrets = append(a.secrets, secretsOf(rawURL)...)
	slices.SortFunc(a.secrets, func(x, y string) int { return len(y) - len(x) }) // one may be a part of another
}

// userPart is what stands before the @ of anything like a URL, wherever it turns up.
var userPart = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)[^\s"'<>]*@`)

// hide takes every secret out of text.
func (a *app) hide(text string) string {
	text = userPart.ReplaceAllString(text, "${1}"+hidden+"@")
	for _, secret := range a.secrets {
		text = strings.ReplaceAll(text, secret, hidden)
	}
	return text
}

// secretsOf lists the passwords of a URL as they may be spelled: as written and as meant.
func secretsOf(rawURL string) []string {
	var secrets []string
	add := func(s string) {
		if s != "" {
			secrets = append(secrets, s)
		}
	}
	if rest, ok := strings.CutPrefix(rawURL, strings.Split(rawURL, "://")[0]+"://"); ok {
		if user := rest[:max(strings.LastIndex(rest, "@"), 0)]; user != "" {
			_, password, both := strings.Cut(user, ":")
			if !both {
				password = user
			}
			add(password)
		}
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return secrets
	}
	if u.User != nil {
		password, set := u.User.Password()
		if !set {
			password = u.User.Username() // a password that lacks its colon
		}
		add(password)
	}
	for key, values := range u.Query() {
		if secretKey(key) {
			for _, v := range values {
				add(v)
				add(url.QueryEscape(v))
			}
		}
	}
	return secrets
}

func secretKey(key string) bool { return strings.Contains(strings.ToLower(key), "pass") }

// shownURL is the URL without passwords.
func shownURL(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "with a URL that does not parse"
	}
	if u.User != nil {
		if _, set := u.User.Password(); set {
			u.User = url.UserPassword(u.User.Username(), hidden)
		} else {
			u.User = url.User(hidden)
		}
	}
	query := u.Query()
	for key := range query {
		if secretKey(key) {
			query.Set(key, hidden)
		}
	}
	u.RawQuery = query.Encode()
	return u.String()
}
